import { describe, expect, it } from 'vitest';
import { DAY_MS, HOUR_MS, timeScale } from '../../../../src/commands/report/time-scale.ts';
import { pausesOf, storedTimes } from '../../../../src/commands/report/wal-times.ts';
import { timelineId } from '../../../../src/postgres/timeline.ts';
import { StoredSegments } from '../../../../src/repository/stored-segments.ts';
import type { WalInventory } from '../../../../src/repository/wal-inventory.ts';

const BEGIN = Date.UTC(2026, 9, 30);
const ONE = timelineId(1);

/** Segments by number, stored so many hours after the beginning; 100 bytes each. */
function inventoryOf(...hours: readonly (readonly [segno: number, hour: number])[]): WalInventory {
  const segments = new StoredSegments();
  for (const [segno, hour] of hours) {
    const storedAt = new Date(BEGIN + hour * HOUR_MS);
    segments.push({ segno: BigInt(segno), storedAt, storedBytes: 100, repositories: [1] });
  }
  return { segmentBytes: 2 ** 24, timelines: new Map([[ONE, { segments, partials: [] }]]), histories: new Map() };
}

const hoursOf = (ms: number): number => (ms - BEGIN) / HOUR_MS;
const scale = timeScale(BEGIN, BEGIN + 4 * DAY_MS);

describe('what the times of storing tell', () => {
  const inventory = inventoryOf([1, 0], [2, 1], [3, 20], [6, 60], [7, 61], [8, 70]);
  const times = storedTimes(inventory, scale);

  it('are spans without a missing segment, however long nothing came', () => {
    const spans = times.lanes.get(ONE)?.spans ?? [];
    expect(spans.map(({ from, to }) => [hoursOf(from), hoursOf(to)])).toEqual([
      [0, 20],
      [60, 70],
    ]);
  });

  it('are bytes by month', () => {
    expect([...times.bytesByMonth]).toEqual([
      ['2026-10', 300],
      ['2026-11', 300],
    ]);
    expect(times.lanes.get(ONE)?.bytes).toBe(600);
  });

  it('are a few samples over the whole time', () => {
    expect(times.samples.map(({ segno }) => segno)).toEqual([1n, 3n, 6n, 8n]);
  });

  it('close breaks that nobody could see, and those of parallel uploads', () => {
    const late = storedTimes(inventoryOf([1, 0], [2, 5], [3, 4.9], [5, 5.1]), scale);
    expect(late.lanes.get(ONE)?.spans.map(({ from, to }) => [hoursOf(from), hoursOf(to)])).toEqual([[0, 5.1]]);
  });

  it('stay few where every other segment is missing', () => {
    const many = Array.from({ length: 5000 }, (_, at) => [at * 2, at / 55] as const);
    expect(storedTimes(inventoryOf(...many), scale).lanes.get(ONE)?.spans.length).toBeLessThanOrEqual(200);
  });
});

describe('pauses', () => {
  const pauses = (...hours: number[]): number[][] =>
    pausesOf(
      Float64Array.from(hours, (hour) => BEGIN + hour * HOUR_MS),
      scale,
    ).map(({ from, pauseMs }) => [hoursOf(from), pauseMs / HOUR_MS]);

  it('count for all that they touch, and go on until now', () => {
    const found = pauses(0, 1, 2, 50, 95);
    expect(found).toHaveLength(96);
    expect([found[0], found[1], found[2], found[49], found[50], found[94], found[95]]).toEqual([
      [0, 1],
      [1, 1],
      [2, 48],
      [49, 48],
      [50, 48],
      [94, 45],
      [95, 45],
    ]);
  });

  it('end at the moment of the report', () => {
    expect(pauses(94, 95.75).at(-1)).toEqual([95, 1.75]);
    expect(pauses(90).at(-1)).toEqual([95, 6]);
  });

  it('are none where nothing is stored', () => {
    expect(pauses()).toEqual([]);
  });
});
