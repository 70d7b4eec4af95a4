import { describe, expect, it } from 'vitest';
import { timelineId } from '../../../src/postgres/timeline.ts';
import type { PathLeg } from '../../../src/repository/recovery-path.ts';
import { UNKNOWN, type SegmentFacts, type SegmentTimes } from '../../../src/repository/segment-times.ts';
import { troubleBehind } from '../../../src/repository/wal-ahead.ts';
import { inventory, type StoredTimeline } from '../../support/wal-inventory.ts';

/** Read well, though nothing optional is said in it. */
const SOUND: SegmentFacts = { ...UNKNOWN };

const leg = (timeline: number, first: number, last?: number): PathLeg => ({
  timeline: timelineId(timeline),
  first: BigInt(first),
  last: last === undefined ? undefined : BigInt(last),
});

async function trouble(
  stored: Readonly<Record<number, StoredTimeline>>,
  legs: readonly PathLeg[],
  [timeline, segno]: readonly [number, number],
  damaged: readonly string[] = [],
): Promise<boolean> {
  const times: SegmentTimes = {
    segment: (one) => Promise.resolve(damaged.includes(`${one.timeline}:${one.segno}`) ? UNKNOWN : SOUND),
    partial: () => Promise.resolve(SOUND),
    storedAt: () => Promise.resolve(undefined),
  };
  const walTo = { timeline: timelineId(timeline), segno: BigInt(segno) };
  return await troubleBehind(walTo, legs, { inventory: inventory(stored), times });
}

describe('a server that reads WAL ahead of its target', () => {
  const one = [leg(1, 1)];

  it('meets none in sound WAL, nor at the end of what is stored', async () => {
    expect(await trouble({ 1: { segments: '1-9' } }, one, [1, 4])).toBe(false);
    expect(await trouble({ 1: { segments: '1-9' } }, one, [1, 9])).toBe(false);
  });

  it('meets a segment that cannot be trusted', async () => {
    expect(await trouble({ 1: { segments: '1-9' } }, one, [1, 4], ['1:5'])).toBe(true);
    expect(await trouble({ 1: { segments: '1-9' } }, one, [1, 8], ['1:9'])).toBe(true);
    expect(await trouble({ 1: { segments: '1-9' } }, one, [1, 3], ['1:5'])).toBe(false);
  });

  it('meets a hole, on its timeline or where the next one goes on', async () => {
    expect(await trouble({ 1: { segments: '1-4 6-9' } }, one, [1, 4])).toBe(true);
    const stored = { 1: { segments: '1-4' }, 2: { segments: '7-9' } };
    expect(await trouble(stored, [leg(1, 1, 5), leg(2, 6)], [1, 4])).toBe(true);
  });

  it('asks for the segment of the timeline that it will be on', async () => {
    const stored = { 1: { segments: '1-9' }, 2: { segments: '5-9' } };
    const legs = [leg(1, 1, 4), leg(2, 5)];
    expect(await trouble(stored, legs, [1, 4], ['1:5'])).toBe(false);
    expect(await trouble(stored, legs, [1, 4], ['2:5'])).toBe(true);
  });
});
