import { beforeAll, describe, expect, it } from 'vitest';
import { gatherFacts } from '../../../../src/commands/report/gather-facts.ts';
import { judge } from '../../../../src/commands/report/judgement.ts';
import { reportPage } from '../../../../src/commands/report/page.ts';
import type { ReportFacts } from '../../../../src/commands/report/report-facts.ts';
import { DAY_MS, HOUR_MS } from '../../../../src/commands/report/time-scale.ts';
import { timelineId } from '../../../../src/postgres/timeline.ts';
import { reportYear, YEAR_END } from '../../../support/report-year.ts';

let good: ReportFacts;
beforeAll(async () => {
  const { repositories, overview, context } = await reportYear();
  good = await gatherFacts(repositories, overview, context);
  // Nothing else is to be found than what each case says.
  good = { ...good, lastStored: { name: 'x', at: YEAR_END - 60_000 } };
});

type Change = (facts: ReportFacts) => Partial<ReportFacts>;

const cases: [name: string, level: 'wrong' | 'look', text: string, change: Change][] = [
  ['no backup', 'wrong', 'No backup is stored', () => ({ backups: [], windows: [] })],
  ['no window', 'wrong', 'No backup can be restored', () => ({ windows: [] })],
  [
    'a repository that does not answer',
    'wrong',
    'Repository 1 (memory://1) could not be read: it is down.',
    ({ repositories }) => ({ repositories: repositories.map((one) => ({ ...one, failure: 'it is down' })) }),
  ],
  [
    'a broken chain',
    'wrong',
    'one backup cannot be restored',
    ({ backups }) => ({ backups: backups.map((one, at) => (at === 3 ? { ...one, fault: 'chain is broken' } : one)) }),
  ],
  [
    'a damaged record',
    'wrong',
    'one backup is damaged: 20261122T174500Z-full',
    () => ({ damaged: ['20261122T174500Z-full'] }),
  ],
  ['a damaged history', 'wrong', 'one timeline is damaged: 7', () => ({ damagedHistories: [timelineId(7)] })],
  [
    'a hole',
    'wrong',
    'WAL is missing in one place: A to B.',
    () => ({ gaps: [{ timeline: timelineId(1), first: 'A', last: 'B', count: 2n, at: undefined }], gapCount: 1 }),
  ],
  ['somebody else', 'wrong', 'Somebody else writes or deletes', () => ({ traces: ['wal/x: a delete marker'] })],
  [
    'a failed drill',
    'wrong',
    'The last drill, of 2026-11-14 23:00, failed (amcheck: bad).',
    ({ drills }) => ({
      drills: drills.map((one, at) => (at === 0 ? { ...one, ok: false, failed: ['amcheck: bad'] } : one)),
    }),
  ],
  ['an ended lock', 'wrong', 'has ended', ({ locks }) => ({ locks: { ...locks, nextEnd: YEAR_END - 1 } })],
  ['a lock about to end', 'look', 'ends in 1 d:', ({ locks }) => ({ locks: { ...locks, nextEnd: YEAR_END + DAY_MS } })],
  ['no drill', 'look', 'never proven', () => ({ drills: [] })],
  [
    'an old drill',
    'look',
    'last proven 50 d ago',
    ({ drills }) => ({ drills: drills.slice(0, 1).map((one) => ({ ...one, at: YEAR_END - 50 * DAY_MS })) }),
  ],
  [
    'a silent archive',
    'look',
    'No WAL has been stored for 2 h',
    () => ({ lastStored: { name: 'x', at: YEAR_END - 2 * HOUR_MS } }),
  ],
  ['an old backup', 'look', 'The newest backup is', ({ backups }) => ({ backups: backups.slice(0, -10) })],
  ['an upload that did not end', 'look', 'one upload did not end', () => ({ unfinished: ['20261122T174500Z-full'] })],
  ['strange names', 'look', 'Among the WAL lies', () => ({ strange: ['wal/passwd'] })],
];

describe('the judgement of a report', () => {
  it('finds nothing where all is well', () => {
    expect(judge(good)).toEqual([]);
    expect(reportPage(good)).toContain('<h2 id="state">All is well</h2>');
  });

  it.each(cases)('finds %s', (_, level, text, change) => {
    const facts = { ...good, ...change(good) };
    const found = judge(facts);
    expect(found).toMatchObject([{ level, text: expect.stringContaining(text) as string }]);
    const state = /<h2 id="state">([^<]*)</.exec(reportPage(facts))?.[1];
    if (facts.windows.length === 0) expect(state).toBe('Nothing can be recovered');
    else
      expect(state).toBe(
        level === 'wrong' ? 'Recoverable, but one thing is wrong' : 'Recoverable, with one thing to look at',
      );
  });

  it('says what is wrong first, and of many only the first names', () => {
    const gap = { timeline: timelineId(1), count: 1n, at: undefined };
    const gaps = ['A', 'B', 'C', 'D', 'E'].map((name) => ({ ...gap, first: name, last: name }));
    const found = judge({ ...good, gaps, gapCount: 5, drills: [], unfinished: ['x'] });
    expect(found.map(({ level }) => level)).toEqual(['wrong', 'look', 'look']);
    expect(found[0]?.text).toBe('WAL is missing in 5 places: E, D, C, and 2 more.');
  });

  it('is the same page for the same facts, without the indentation of its source', () => {
    expect(reportPage(good)).toBe(reportPage({ ...good }));
    expect(reportPage(good)).not.toMatch(/\n {2}/);
  });
});
