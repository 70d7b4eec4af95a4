/** The first level of verification: what must be stored, by the names alone. Pure. */
import type { HistoryEntry } from '../postgres/timeline-history.ts';
import { formatTimeline, type TimelineId, timelineId } from '../postgres/timeline.ts';
import { historyName, segmentName, segnoBefore, segnoOfLsn } from '../postgres/wal-name.ts';
import { gapsOf, type BackupPoint } from './coverage.ts';
import { walKey } from './layout.ts';
import { missingAlong, pathLegs } from './recovery-path.ts';
import type { ExpiredRange } from './retention/expired-record.ts';
import { withoutExpired } from './retention/expired-gaps.ts';
import type { SegmentRun } from './segment-runs.ts';
import type { Problem } from './verify-problem.ts';
import { historyOf, timelinesOf, type WalInventory } from './wal-inventory.ts';

/** Of a long hole so many names are given; a hostile one is endless. */
const MOST_NAMES = 100;

/**
 * Segments that recovery from a backup would miss: those it needs to become consistent, and holes in what follows. A hole before
 * the oldest backup harms nobody; without any backup every hole counts. `expired`: what was given up on purpose.
 */
export function missingSegments(
  backups: readonly BackupPoint[],
  inventory: WalInventory,
  expired: readonly ExpiredRange[] = [],
): Problem[] {
  const problems: Problem[] = [];
  const named = new Set<string>();
  const add = (run: SegmentRun & { timeline: TimelineId }, why: string): void => {
    for (const problem of runProblems(run, why, inventory.segmentBytes)) {
      if (!named.has(problem.object)) problems.push(problem);
      named.add(problem.object);
    }
  };
  for (const backup of backups) {
    const { segmentBytes } = inventory;
    const first = segnoOfLsn(backup.startLsn, segmentBytes);
    const last = segnoBefore(backup.stopLsn, segmentBytes);
    const legs = pathLegs(historyOf(inventory, backup.timeline), first, segmentBytes);
    for (const run of missingAlong(legs, last, inventory))
      add(run, `backup ${backup.id} cannot become consistent without it`);
  }
  const oldest = lowest(backups.map(({ startLsn }) => segnoOfLsn(startLsn, inventory.segmentBytes)));
  for (const gap of withoutExpired(gapsOf(inventory), expired, { backups, segmentBytes: inventory.segmentBytes })) {
    if (oldest === undefined || gap.last >= oldest) add(gap, 'WAL is stored before and after it');
  }
  return problems;
}

/**
 * History files that are missing below the newest timeline: recovery looks for them one by one and stops at the first that is not
 * there. Those of timelines older than any WAL here are not needed. `damaged`: they are there, and another matter.
 */
export function missingHistories(inventory: WalInventory, damaged: ReadonlySet<TimelineId> = new Set()): Problem[] {
  const timelines = timelinesOf(inventory);
  const [oldest] = timelines;
  const newest = timelines.at(-1);
  if (oldest === undefined || newest === undefined) return [];
  const problems: Problem[] = [];
  for (let at = oldest + 1; at <= newest && problems.length < MOST_NAMES; at += 1) {
    const timeline = timelineId(at);
    if (inventory.histories.has(timeline) || damaged.has(timeline)) continue;
    problems.push({
      code: 'missing-history',
      object: historyName(timeline),
      message: `recovery to timeline ${formatTimeline(timelineId(newest))} ends at this timeline without it`,
    });
  }
  return problems;
}

/** Histories that contradict their parent's: PostgreSQL makes a new one by adding a line to a copy of it (writeTimeLineHistory). */
export function contradictoryHistories({ histories }: WalInventory): Problem[] {
  return [...histories.values()].flatMap(({ timeline, entries }): Problem[] => {
    const parent = entries.at(-1)?.timeline;
    const told = parent === undefined ? undefined : histories.get(parent)?.entries;
    // An empty one is wrong in itself.
    if (parent === undefined || told === undefined || told.length === 0) return [];
    const copied = entries.slice(0, -1);
    const same = ({ timeline: ancestor, switchLsn }: HistoryEntry, at: number): boolean =>
      copied[at]?.timeline === ancestor && copied[at].switchLsn === switchLsn;
    if (told.length === copied.length && told.every(same)) return [];
    const object = walKey({ kind: 'history', name: historyName(timeline), timeline });
    return [{ code: 'misfit', object, message: `it names other ancestors than ${historyName(parent)} does` }];
  });
}

function* runProblems(
  { timeline, first, last }: SegmentRun & { timeline: TimelineId },
  why: string,
  segmentBytes: number,
): Generator<Problem> {
  const name = (segno: bigint): string => segmentName(timeline, segno, segmentBytes);
  const all = last - first + 1n;
  for (let at = first; at <= last; at += 1n) {
    if (at - first === BigInt(MOST_NAMES)) {
      const message = `missing with all that follow up to ${name(last)} (${all} segments in a row): ${why}`;
      yield { code: 'missing-segment', object: name(at), message };
      return;
    }
    yield { code: 'missing-segment', object: name(at), message: `missing: ${why}` };
  }
}

function lowest(segnos: readonly bigint[]): bigint | undefined {
  return segnos.reduce<bigint | undefined>((low, one) => (low === undefined || one < low ? one : low), undefined);
}
