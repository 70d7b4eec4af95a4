import { describe, expect, test } from 'vitest';
import { parseHistory } from '../../../src/postgres/timeline-history.ts';
import { timelineId } from '../../../src/postgres/timeline.ts';
import { parseWalName, type SegmentFile } from '../../../src/postgres/wal-name.ts';
import { standsInForGap, timelinesNeeded } from '../../../src/repository/stray-timeline.ts';
import { nameOf } from '../../support/made-segments.ts';

const MIB = 1024 * 1024;
const segment = (segno: number, timeline: number): SegmentFile => parseWalName(nameOf(segno, timeline)) as SegmentFile;

/** Timeline 1 was left in segment 5 for 2, that in segment 8 for 4. */
const target = parseHistory(timelineId(4), '1\t0/500100\ta\n2\t0/800100\tb\n');

describe('a segment is only served if one is stored of', () => {
  test.each([
    [4, 1, undefined],
    [5, 1, [2, 4]],
    [9, 1, [2, 4]],
    [7, 2, undefined],
    [8, 2, [4]],
    [8, 4, undefined],
    [9, 3, undefined],
  ])('the timelines after its own: segment %d on timeline %d', (segno, timeline, after) => {
    expect(timelinesNeeded(segment(segno, timeline), target, MIB)?.after).toEqual(after);
  });

  test('the next timeline, where the fork lies between two segments', () => {
    const between = parseHistory(timelineId(2), '1\t0/500000\ta\n');
    expect(timelinesNeeded(segment(4, 1), between, MIB)).toBeUndefined();
    expect(timelinesNeeded(segment(5, 1), between, MIB)?.fork).toBe(nameOf(5));
  });

  test('none, where recovery follows its own timeline', () => {
    expect(timelinesNeeded(segment(9, 1), undefined, MIB)).toBeUndefined();
  });
});

describe('in place of the segment at which WAL may end', () => {
  test.each<[string, number, number, string | undefined, boolean]>([
    ['the one of the parent', 5, 1, nameOf(5, 2), true],
    ['the one of an older timeline', 8, 1, nameOf(8, 4), true],
    ['another segment of the parent', 6, 1, nameOf(5, 2), false],
    ['that segment itself', 5, 2, nameOf(5, 2), false],
    ['the one of a newer timeline', 8, 4, nameOf(8, 2), false],
    ['the one of a timeline that recovery does not follow', 8, 3, nameOf(8, 4), false],
    ['nothing without such a segment', 5, 1, undefined, false],
    ['nothing where its name is none', 5, 1, 'on', false],
    ['nothing where it is a history', 5, 1, '00000002.history', false],
    ['nothing where it lies on a timeline that recovery does not follow', 5, 1, nameOf(5, 3), false],
  ])('lies %s', (_, segno, timeline, allowGap, stands) => {
    expect(standsInForGap(segment(segno, timeline), allowGap, target)).toBe(stands);
    expect(standsInForGap(segment(segno, timeline), allowGap, undefined)).toBe(false);
  });
});
