import { describe, expect, it, test } from 'vitest';
import { formatLsn, lsn, parseLsn } from '../../../src/postgres/lsn.ts';
import {
  findNewestTimeline,
  forkPoint,
  formatHistory,
  lineage,
  parseHistory,
  rootHistory,
  switchPointOf,
  timelineAt,
  timelinesOfSegment,
} from '../../../src/postgres/timeline-history.ts';
import { timelineId } from '../../../src/postgres/timeline.ts';
import { fixture, WAL_MAJORS } from '../../support/postgres-fixture.ts';

const four = timelineId(4);
const TEXT = '1\t0/3000000\tno recovery target specified\n2\t0/5000000\tbefore 2026-11-22 17:45:00+00\n';

describe('a history', () => {
  it('is read line by line and written back to the byte', () => {
    const history = parseHistory(four, TEXT);
    expect(history.entries).toEqual([
      { timeline: 1, switchLsn: 0x3000000n, reason: 'no recovery target specified' },
      { timeline: 2, switchLsn: 0x5000000n, reason: 'before 2026-11-22 17:45:00+00' },
    ]);
    expect(formatHistory(history)).toBe(TEXT);
    expect(lineage(history)).toEqual([1, 2, 4]);
    expect(forkPoint(history)).toBe(0x5000000n);
    expect(switchPointOf(history, timelineId(1))).toBe(0x3000000n);
    expect(switchPointOf(history, timelineId(3))).toBeUndefined();
  });

  it.each(WAL_MAJORS)('of a real PostgreSQL %i is written back to the byte', (major) => {
    const text = fixture(major, '00000002.history').toString();
    const history = parseHistory(timelineId(2), text);
    expect(history.entries).toHaveLength(1);
    expect(formatHistory(history)).toBe(text);
  });

  it('may have comments, blank lines, spaces, no reason and no last line break', () => {
    const history = parseHistory(four, '# made by hand\n\n  1   0/3000000\n\t2\t0/5000000\tx');
    expect(history.entries.map(({ timeline, reason }) => [timeline, reason])).toEqual([
      [1, ''],
      [2, 'x'],
    ]);
  });

  it('may have switch points that fall: recovery to before a fork makes such', () => {
    const history = parseHistory(four, '1\t0/5000000\tx\n2\t0/3000000\ty\n');
    expect(timelineAt(history, lsn(0x2fff_fffn))).toBe(1);
    expect(timelineAt(history, lsn(0x3000_000n))).toBe(4);
  });

  it('that is empty belongs to a timeline without ancestors', () => {
    expect(parseHistory(four, '')).toEqual(rootHistory(four));
    expect(forkPoint(rootHistory(four))).toBeUndefined();
    expect(lineage(rootHistory(four))).toEqual([4]);
  });

  test.each<[string, string, string]>([
    ['no number', 'x\t0/1\ty\n', 'line 1 of 00000004.history is not "timeline, switch point, reason"'],
    ['no switch point', '1\n', 'line 1 of 00000004.history is not "timeline, switch point, reason"'],
    ['half a switch point', '1\t0/\ty\n', 'line 1 of 00000004.history is not "timeline, switch point, reason"'],
    [
      'an absurd switch point',
      '1\t0/123456789\ty\n',
      'line 1 of 00000004.history is not "timeline, switch point, reason"',
    ],
    ['timeline 0', '0\t0/1\ty\n', 'line 1 of 00000004.history is not "timeline, switch point, reason"'],
    [
      'an absurd timeline',
      '9999999999\t0/1\ty\n',
      'line 1 of 00000004.history is not "timeline, switch point, reason"',
    ],
    ['a negative timeline', '-1\t0/1\ty\n', 'line 1 of 00000004.history is not "timeline, switch point, reason"'],
    ['a timeline twice', '1\t0/1\ty\n1\t0/2\ty\n', 'line 2 of 00000004.history: timeline 1 does not follow 1'],
    ['falling timelines', '2\t0/1\ty\n1\t0/2\ty\n', 'line 2 of 00000004.history: timeline 1 does not follow 2'],
    ['itself', '4\t0/1\ty\n', 'line 1 of 00000004.history: timeline 4 cannot be an ancestor of 4'],
    ['a newer one', '# x\n5\t0/1\ty\n', 'line 2 of 00000004.history: timeline 5 cannot be an ancestor of 4'],
    ['a zero byte', '1\t0/1\ty\0\n', '00000004.history contains a zero byte'],
    ['17 million bytes', '#'.repeat(17_000_000), '00000004.history is 17000000 bytes long'],
  ])('with %s is refused', (_, text, message) => {
    expect(() => parseHistory(four, text)).toThrow(expect.objectContaining({ code: 'bad-format', message }));
  });
});

describe('a position', () => {
  const history = parseHistory(four, TEXT);
  test.each([
    ['0/0', 1],
    ['0/2FFFFFF', 1],
    ['0/3000000', 2],
    ['0/4FFFFFF', 2],
    ['0/5000000', 4],
    ['FF/0', 4],
  ])('%s is on timeline %i', (text, timeline) => {
    expect(timelineAt(history, parseLsn(text) ?? lsn(0n))).toBe(timeline);
  });

  it('lies in segments that recovery asks for newest first, as far as they can exist', () => {
    const mib = 1024 * 1024;
    expect(timelinesOfSegment(history, 2n, 16 * mib)).toEqual([1]);
    expect(timelinesOfSegment(history, 3n, 16 * mib)).toEqual([2, 1]);
    expect(timelinesOfSegment(history, 5n, 16 * mib)).toEqual([4, 2, 1]);
    // A fork within a segment: both timelines have a copy of it.
    expect(timelinesOfSegment(history, 0n, 64 * mib)).toEqual([2, 1]);
    expect(formatLsn(history.entries[0]?.switchLsn ?? lsn(0n))).toBe('0/3000000');
  });
});

describe('the newest timeline', () => {
  const among = (existing: number[]): { asked: number[]; exists: (t: number) => boolean } => {
    const asked: number[] = [];
    return { asked, exists: (t) => (asked.push(t), existing.includes(t)) };
  };

  test.each<[string, number[], number, number[]]>([
    ['is the first where there is no other', [], 1, [2]],
    ['is the last in a row', [2, 3], 3, [2, 3, 4]],
    ['stops at the first gap', [2, 4], 2, [2, 3]],
  ])('%s', async (_, existing, newest, questions) => {
    const { asked, exists } = among(existing);
    expect(await findNewestTimeline(timelineId(1), exists)).toBe(newest);
    expect(asked).toEqual(questions);
  });

  it('is not guessed where a question cannot be answered', async () => {
    const exists = (): Promise<boolean> => Promise.reject(new Error('store is down'));
    await expect(findNewestTimeline(timelineId(1), exists)).rejects.toThrow('store is down');
  });

  it('ends with the numbers', async () => {
    expect(await findNewestTimeline(timelineId(0xffffffff), () => true)).toBe(0xffffffff);
  });
});
