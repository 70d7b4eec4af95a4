import { describe, expect, it } from 'vitest';
import { gatherFacts } from '../../../../src/commands/report/gather-facts.ts';
import { reportPage } from '../../../../src/commands/report/page.ts';
import { DAY_MS } from '../../../../src/commands/report/time-scale.ts';
import { lsn } from '../../../../src/postgres/lsn.ts';
import { timelineId, type TimelineId } from '../../../../src/postgres/timeline.ts';
import type { TimelineHistory } from '../../../../src/postgres/timeline-history.ts';
import { backupId } from '../../../../src/repository/layout.ts';
import { StoredSegments } from '../../../../src/repository/stored-segments.ts';
import type { TimelineWal } from '../../../../src/repository/wal-inventory.ts';
import { reportYear, YEAR_END } from '../../../support/report-year.ts';

const LARGEST_BYTES = 2_000_000;

describe('the facts of a report', () => {
  it('are those of list and status, and what times of storing tell', async () => {
    const { repositories, overview, context } = await reportYear({ wrong: true, heads: true });
    const facts = await gatherFacts(repositories, overview, context);
    expect(facts.windows).toHaveLength(3);
    expect(facts.gaps).toMatchObject([{ timeline: 1, count: 3n, first: '0000000100000003000000E7' }]);
    expect(facts.lanes).toMatchObject([
      { timeline: 1, fork: undefined, segments: 1857 },
      { timeline: 2, fork: { parent: 1, lsn: '7/44000040' }, segments: 1140 },
    ]);
    expect(facts.drills).toHaveLength(52);
    expect(facts.drills[0]).toMatchObject({ ok: false, rtoMs: undefined });
    expect(facts.drills[1]).toMatchObject({ ok: true, rpoMs: 41_000, failed: [] });
    expect(facts.wal.delays.length).toBeGreaterThan(40);
    for (const { delayMs } of facts.wal.delays) expect(delayMs).toBeLessThanOrEqual(92_000);
    const months = facts.wal.months.map(({ month }) => month);
    expect([months.length, months[0], months.at(-1)]).toEqual([13, '2025-11', '2026-11']);
    const bytes = facts.wal.months.reduce((sum, { walBytes }) => sum + walBytes, 0);
    expect(bytes).toBe(facts.lanes.reduce((sum, lane) => sum + lane.bytes, 0));
    expect(Math.max(...facts.wal.pauses.map(({ pauseMs }) => pauseMs))).toBeGreaterThan(9 * 3_600_000);
    expect(facts.locks).toMatchObject({ any: true });
  });

  it('speak of the moment of --as-of', async () => {
    const { repositories, overview, context } = await reportYear({ segments: 300, backups: 10 });
    const at = new Date(YEAR_END - 30 * DAY_MS);
    const facts = await gatherFacts(repositories, overview, { ...context, asOf: { at, text: '' } });
    expect(facts.at).toBe(at.getTime());
    expect(reportPage(facts)).toMatch(/as the repository was at\s+<time datetime="2026-10-23T18:00:00.000Z">/);
  });

  it('stay a page that opens, whatever somebody puts into a repository', async () => {
    const { repositories, overview, context } = await reportYear({ segments: 300, backups: 2 });
    const { inventory, backups } = overview;
    const [first] = backups;
    if (inventory === undefined || first === undefined) throw new Error('a year without anything');
    const timelines = new Map<TimelineId, TimelineWal>(inventory.timelines);
    const histories = new Map<TimelineId, TimelineHistory>();
    const put = (segments: StoredSegments, segno: number, at: number): void => {
      segments.push({ segno: BigInt(segno), storedAt: new Date(at), storedBytes: 1, repositories: [1] });
    };
    const sieve = new StoredSegments();
    for (let at = 0; at < 50_000; at += 1) put(sieve, at * 2, YEAR_END - (50_000 - at) * 60_000);
    timelines.set(timelineId(1), { segments: sieve, partials: [] });
    for (let timeline = 3; timeline < 400; timeline += 1) {
      const segments = new StoredSegments();
      put(segments, timeline * 7, timeline % 2 === 0 ? 0 : 8.6e15);
      timelines.set(timelineId(timeline), { segments, partials: [] });
      const entries = [{ timeline: timelineId(timeline - 1), switchLsn: lsn(BigInt(timeline) << 27n), reason: '' }];
      histories.set(timelineId(timeline), { timeline: timelineId(timeline), entries });
    }
    const label = '<'.repeat(4000);
    const forged = Array.from({ length: 3000 }, (_, at) => {
      const id = backupId(new Date(YEAR_END - at * 3_600_000), 'incremental');
      const stoppedAt = at % 2 === 0 ? '0001-01-01T00:00:00Z' : '9999-12-31T23:59:59Z';
      return {
        ...first,
        summary: { ...first.summary, id, label, stoppedAt, type: 'incremental' as const, parent: id },
      };
    });
    const strange = Array.from({ length: 100 }, () => `wal/${'&'.repeat(1000)}`);
    const hostile = { ...overview, backups: forged, inventory: { ...inventory, timelines, histories, strange } };
    const page = reportPage(await gatherFacts(repositories, hostile, context));
    expect(Buffer.byteLength(page)).toBeLessThan(LARGEST_BYTES);
    expect(page).toContain('1,000 older backups left out here');
    expect(page).not.toMatch(/NaN|Infinity|undefined/);
  });
});
