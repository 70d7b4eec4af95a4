import { describe, expect, it } from 'vitest';
import { timelineId } from '../../../src/postgres/timeline.ts';
import { microsFromMs } from '../../../src/postgres/timestamp.ts';
import { firstLaterThan, lastMoment, type Stretch } from '../../../src/repository/commit-search.ts';
import { pathLegs } from '../../../src/repository/recovery-path.ts';
import type { SegmentFacts } from '../../../src/repository/segment-times.ts';
import { StoredSegments } from '../../../src/repository/stored-segments.ts';
import { historyOf } from '../../../src/repository/wal-inventory.ts';
import { inventory, storedAt } from '../../support/wal-inventory.ts';

/** A stretch from segment 1 on: for each its last commit, `null` for none, `undefined` for not known. */
function stretch(commits: readonly (number | null | undefined)[]): Stretch & { reads: number } {
  const wal = inventory({ 1: { segments: `1-${commits.length}` } });
  const made = {
    legs: pathLegs(historyOf(wal, timelineId(1)), 1n, wal.segmentBytes),
    first: 1n,
    last: BigInt(commits.length),
    inventory: wal,
    reads: 0,
    times: {
      segment({ segno }: { segno: bigint }): Promise<SegmentFacts> {
        made.reads += 1;
        const last = commits[Number(segno) - 1];
        const commit = last === null || last === undefined ? undefined : BigInt(last);
        const count = last === undefined ? undefined : last === null ? 0 : 1;
        return Promise.resolve({ commits: count, firstCommit: commit, lastCommit: commit, endLsn: undefined });
      },
      partial: () => Promise.reject(new Error('there is none')),
      storedAt: () => Promise.reject(new Error('the inventory knows it')),
    },
  };
  return made;
}

describe('the last moment of a stretch', () => {
  it('is the last commit, past segments that have none', async () => {
    expect(await lastMoment(stretch([10, 20, null, null]))).toEqual({ at: 20n, segno: 2n, by: 'commit' });
  });

  it('is the time of storing where nothing is known', async () => {
    const at = microsFromMs(storedAt(3).getTime());
    expect(await lastMoment(stretch([10, 20, undefined]))).toEqual({ at, segno: 3n, by: 'stored' });
  });

  it('is asked for where only a seal says that the segment is there', async () => {
    const wal = inventory({ 1: {} });
    const segments = new StoredSegments();
    segments.pushSpan({ segno: 1n, count: 4, storedAt: storedAt(1), storedBytes: 0, repositories: [1] });
    const timelines = new Map([[timelineId(1), { segments, partials: [] }]]);
    const made = { ...stretch([10, 20, undefined, null]), inventory: { ...wal, timelines } };
    const asked: bigint[] = [];
    made.times.storedAt = ({ segno }) => {
      asked.push(segno);
      return Promise.resolve(storedAt(7));
    };
    expect(await lastMoment(made)).toEqual({ at: microsFromMs(storedAt(7).getTime()), segno: 3n, by: 'stored' });
    expect(asked).toEqual([3n]);
  });

  it('is none where nothing was ever committed', async () => {
    expect(await lastMoment(stretch([null, null]))).toBeUndefined();
  });
});

describe('the segment in which recovery to a time stops', () => {
  const table: [string, (number | null)[], bigint, boolean, bigint | undefined][] = [
    ['has a commit later than it', [10, 20, 30, 40], 25n, false, 3n],
    ['is not the one that ends exactly then', [10, 20, 30, 40], 30n, false, 4n],
    ['is that one when the target is exclusive', [10, 20, 30, 40], 30n, true, 3n],
    ['is the first if all are later', [10, 20], 5n, false, 1n],
    ['is none if all are earlier', [10, 20], 20n, false, undefined],
    ['lies beyond segments without commits', [10, null, null, null, 20, null], 10n, false, 5n],
    ['is none if only such segments follow', [10, null, null, null], 10n, false, undefined],
  ];
  it.each(table)('%s', async (_, commits, time, orAt, expected) => {
    expect((await firstLaterThan(stretch(commits), time, orAt))?.segno).toBe(expected);
  });

  it('is found by few reads among many', async () => {
    const many = stretch(Array.from({ length: 20_000 }, (_, index) => index * 10));
    expect((await firstLaterThan(many, 123_456n, false))?.segno).toBe(12_347n);
    expect(many.reads).toBeLessThan(20);
  });
});
