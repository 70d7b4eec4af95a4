import { describe, expect, it } from 'vitest';
import { StoredSegments } from '../../../src/repository/stored-segments.ts';
import { uniteWal } from '../../../src/repository/unite-wal.ts';

const at = (ms: number): Date => new Date(ms);

/** Segment 3 as a listing shows it, then 4 to 7 as a seal says. */
function made(repository: number): StoredSegments {
  const segments = new StoredSegments();
  segments.push({ segno: 3n, storedAt: at(30), storedBytes: 100, repositories: [repository] });
  segments.pushSpan({ segno: 4n, count: 4, storedAt: at(40), storedBytes: 0, repositories: [repository] });
  return segments;
}

describe('stored segments', () => {
  it('of a seal are there one by one, and of the first it is known when it was stored', () => {
    const segments = made(1);
    expect(segments.size).toBe(5);
    expect(segments.runs).toEqual([{ first: 3n, last: 7n }]);
    expect(segments.runsIn(1)).toEqual([{ first: 3n, last: 7n }]);
    expect(segments.runsIn(2)).toEqual([]);
    expect(segments.get(3n)).toEqual({ segno: 3n, storedAt: at(30), repositories: [1] });
    expect(segments.get(4n)).toEqual({ segno: 4n, storedAt: at(40), repositories: [1] });
    expect(segments.get(7n)).toEqual({ segno: 7n, storedAt: undefined, repositories: [1] });
    expect([segments.get(2n), segments.get(8n)]).toEqual([undefined, undefined]);
    expect(segments.bytesBetween(0n, 100n)).toBe(100);
  });

  it('rise, however they come', () => {
    const next = { storedAt: at(0), storedBytes: 1, repositories: [1] };
    expect(() => made(1).push({ segno: 7n, ...next })).toThrow(RangeError);
    expect(() => made(1).pushSpan({ segno: 5n, count: 2, ...next })).toThrow(RangeError);
  });

  it('of several repositories are one row, each with all who hold it', () => {
    const other = new StoredSegments();
    for (const segno of [2n, 5n, 9n]) {
      other.push({ segno, storedAt: at(Number(segno)), storedBytes: 7, repositories: [2] });
    }
    const { segments } = uniteWal([
      { segments: made(1), partials: [] },
      { segments: other, partials: [] },
    ]);
    expect([...segments.spans()].map(({ segno, count, repositories }) => [segno, count, repositories])).toEqual([
      [2n, 1, [2]],
      [3n, 1, [1]],
      [4n, 1, [1]],
      [5n, 1, [1, 2]],
      [6n, 2, [1]],
      [9n, 1, [2]],
    ]);
    expect(segments.get(5n)?.storedAt).toBeUndefined();
    expect(segments.runs).toEqual([
      { first: 2n, last: 7n },
      { first: 9n, last: 9n },
    ]);
  });

  it('that all repositories have sealed stay sealed', () => {
    const { segments } = uniteWal([
      { segments: made(1), partials: [] },
      { segments: made(2), partials: [] },
    ]);
    expect([...segments.spans()]).toEqual([
      { segno: 3n, count: 1, storedAt: at(30), storedBytes: 100, repositories: [1, 2] },
      { segno: 4n, count: 4, storedAt: at(40), storedBytes: 0, repositories: [1, 2] },
    ]);
  });
});
