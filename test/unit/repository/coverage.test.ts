import { describe, expect, it } from 'vitest';
import { timelineId } from '../../../src/postgres/timeline.ts';
import { gapsOf, liesOn, windowsOf, type BackupPoint } from '../../../src/repository/coverage.ts';
import { historyOf } from '../../../src/repository/wal-inventory.ts';
import { at, inventory, type StoredTimeline } from '../../support/wal-inventory.ts';

const backup = (timeline: number, startLsn: string, stopLsn: string, minute = 0): BackupPoint => ({
  id: `${timeline} ${startLsn}`,
  timeline: timelineId(timeline),
  startLsn: at(startLsn),
  stopLsn: at(stopLsn),
  stoppedAt: new Date(Date.UTC(2026, 0, 1, 0, minute)),
});

describe('holes in the stored WAL', () => {
  const table: [string, Record<number, StoredTimeline>, string[]][] = [
    ['nothing stored has none', {}, []],
    ['one run has none, wherever it begins', { 1: { segments: '7-90' } }, []],
    ['a missing segment between two', { 1: { segments: '1-3 5-6' } }, ['1: 4-4']],
    ['several', { 1: { segments: '1 4-5 9' } }, ['1: 2-3', '1: 6-8']],
    ['a partial shows what was before it, and fills nothing', { 1: { segments: '1-3', partials: [6] } }, ['1: 4-5']],
    ['a partial right after the last segment is none', { 1: { segments: '1-3', partials: [4] } }, []],
    [
      'a timeline that goes on in its child needs no last segment',
      { 1: { segments: '1-4' }, 2: { segments: '5-6', history: '1 0/5000100 x' } },
      [],
    ],
    [
      'what the parent lacks up to the fork',
      { 1: { segments: '1-2' }, 2: { segments: '5-6', history: '1 0/5000100 x' } },
      ['1: 3-4'],
    ],
    [
      'what the child lacks at the fork',
      { 1: { segments: '1-5' }, 2: { segments: '6-7', history: '1 0/5000100 x' } },
      ['2: 5-5'],
    ],
    [
      'a child whose parent is expired begins where it begins',
      { 2: { segments: '9-12', history: '1 0/5000100 x' } },
      [],
    ],
    ['a stray history of which nothing is stored', { 1: { segments: '1-4' }, 2: { history: '1 0/3000100 x' } }, []],
    [
      'a whole timeline missing between two',
      { 1: { segments: '1-4' }, 3: { segments: '9', history: '1 0/5000100 x\n2 0/9000100 x' } },
      ['2: 5-8'],
    ],
    [
      'switch points that fall: the newest timeline wins',
      {
        1: { segments: '1-2' },
        2: { segments: '5-6', history: '1 0/5000100 x' },
        3: { segments: '3-4', history: '1 0/5000100 x\n2 0/3000100 x' },
      },
      ['1: 3-4'],
    ],
  ];
  it.each(table)('%s', (_, stored, expected) => {
    expect(gapsOf(inventory(stored)).map((gap) => `${gap.timeline}: ${gap.first}-${gap.last}`)).toEqual(expected);
  });

  it('are found without counting through a hostile distance', () => {
    const [gap] = gapsOf(inventory({ 1: { segments: '1 17000000000000' } }));
    expect(gap).toMatchObject({ first: 2n, last: 16999999999999n });
  });
});

describe('windows of recovery', () => {
  const table: [string, Record<number, StoredTimeline>, BackupPoint[], string[]][] = [
    ['no backup, no window', { 1: { segments: '1-9' } }, [], []],
    [
      'from the end of a backup to the end of the WAL',
      { 1: { segments: '1-9' } },
      [backup(1, '0/2000028', '0/2000100', 5)],
      ['1: 0/2000100-0/A000000'],
    ],
    [
      'later backups lie in the window of the first',
      { 1: { segments: '1-9' } },
      [backup(1, '0/2000028', '0/2000100'), backup(1, '0/5000028', '0/6000100')],
      ['1: 0/2000100-0/A000000'],
    ],
    [
      'a hole ends one window, the next backup begins another',
      { 1: { segments: '1-3 5-9' } },
      [backup(1, '0/2000028', '0/2000100'), backup(1, '0/5000028', '0/6000100')],
      ['1: 0/2000100-0/4000000', '1: 0/6000100-0/A000000'],
    ],
    [
      'a backup whose own WAL has a hole leads nowhere',
      { 1: { segments: '1-2 4-9' } },
      [backup(1, '0/2000028', '0/3000100')],
      [],
    ],
    [
      'a backup that ends at a segment boundary needs no more',
      { 1: { segments: '1-2' } },
      [backup(1, '0/2000028', '0/3000000')],
      ['1: 0/3000000-0/3000000'],
    ],
    [
      'through a promotion',
      { 1: { segments: '1-5' }, 2: { segments: '5-8', history: '1 0/5000100 x' } },
      [backup(1, '0/2000028', '0/2000100')],
      ['1: 0/2000100-0/6000000', '2: 0/2000100-0/9000000'],
    ],
    [
      'not from a backup that the fork left behind',
      { 1: { segments: '1-9' }, 2: { segments: '5-8', history: '1 0/5000100 x' } },
      [backup(1, '0/6000028', '0/6000100')],
      ['1: 0/6000100-0/A000000'],
    ],
    [
      'a stray timeline has none',
      { 1: { segments: '1-9' }, 2: { history: '1 0/5000100 x' } },
      [backup(1, '0/2000028', '0/2000100')],
      ['1: 0/2000100-0/A000000'],
    ],
    [
      'a hole before the fork ends the window on the parent alone',
      { 1: { segments: '1-2' }, 2: { segments: '5-8', history: '1 0/5000100 x' } },
      [backup(1, '0/2000028', '0/2000100')],
      ['1: 0/2000100-0/3000000'],
    ],
  ];
  it.each(table)('%s', (_, stored, backups, expected) => {
    const windows = windowsOf(backups, inventory(stored));
    expect(windows.map((w) => `${w.timeline}: ${show(w.fromLsn)}-${show(w.toLsn)}`)).toEqual(expected);
  });

  it('begin when the first backup stopped, and name all that lead into them', () => {
    const [window] = windowsOf(
      [backup(1, '0/5000028', '0/6000100', 60), backup(1, '0/2000028', '0/2000100', 5)],
      inventory({ 1: { segments: '1-9' } }),
    );
    expect(window?.from).toEqual(new Date('2026-01-01T00:05:00Z'));
    expect(window?.backups.map(({ id }) => id)).toEqual(['1 0/2000028', '1 0/5000028']);
  });
});

describe('a backup and a timeline', () => {
  it('fit when it ended before every switch from its own timeline on', () => {
    const stored = inventory({ 3: { history: '1 0/5000100 x\n2 0/3000100 x' } });
    const history = historyOf(stored, timelineId(3));
    expect(liesOn(backup(1, '0/2000028', '0/2000100'), history)).toBe(true);
    expect(liesOn(backup(1, '0/3000028', '0/4000100'), history)).toBe(false);
    expect(liesOn(backup(4, '0/2000028', '0/2000100'), history)).toBe(false);
  });
});

function show(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`;
}
