/** What the stored WAL is good for: the holes in it, and the windows of time that one can recover to. Pure. */
import type { Lsn } from '../postgres/lsn.ts';
import { lineage, type TimelineHistory } from '../postgres/timeline-history.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import { segmentStart, segnoBefore, segnoOfLsn } from '../postgres/wal-name.ts';
import { legOf, pathLegs, reachAlong, type PathSegment, type Reach } from './recovery-path.ts';
import { missingIn, nextStored, unionOf, type SegmentRuns } from './segment-runs.ts';
import { highestStored, historyOf, timelinesOf, walOf, type TimelineWal, type WalInventory } from './wal-inventory.ts';

/** What must be known of a backup to tell where one gets from it. */
export interface BackupPoint {
  readonly id: string;
  readonly timeline: TimelineId;
  readonly startLsn: Lsn;
  readonly stopLsn: Lsn;
  readonly stoppedAt: Date;
}

/** Missing segments in a row, both ends included, with stored ones on both sides. */
export interface Gap {
  readonly timeline: TimelineId;
  readonly first: bigint;
  readonly last: bigint;
}

/**
 * Segments without which some stored WAL cannot be reached from the WAL before it, by timeline. What lies before the first stored
 * segment of a line of descent is no gap: WAL has to begin somewhere.
 */
export function gapsOf(inventory: WalInventory): Gap[] {
  const missing = new Map<TimelineId, SegmentRuns[]>();
  for (const timeline of timelinesOf(inventory)) {
    const highest = highestSpanEnd(walOf(inventory, timeline));
    if (highest === undefined) continue;
    const legs = pathLegs(historyOf(inventory, timeline), 0n, inventory.segmentBytes);
    let begun = false;
    for (const leg of legs) {
      const runs = walOf(inventory, leg.timeline).segments.runs;
      const last = leg.last ?? highest;
      const lowest = begun ? leg.first : nextStored(runs, leg.first);
      if (lowest === undefined || lowest > last) continue;
      begun = true;
      const found = missing.get(leg.timeline) ?? [];
      found.push(missingIn(runs, lowest, last));
      missing.set(leg.timeline, found);
    }
  }
  return [...missing]
    .sort(([a], [b]) => a - b)
    .flatMap(([timeline, sets]) => unionOf(sets).map((run) => ({ timeline, ...run })));
}

/** A span without a break that one can recover to any point of, along one timeline. */
export interface RecoveryWindow<B extends BackupPoint = BackupPoint> {
  /** The target timeline; the backups can lie on its ancestors. */
  readonly timeline: TimelineId;
  /** Those that lead into it, oldest first; the window begins where the first ended. */
  readonly backups: readonly [B, ...B[]];
  readonly from: Date;
  readonly fromLsn: Lsn;
  /** The last segment of it. */
  readonly last: PathSegment;
  /** The end of that segment; what is written in it may end before. */
  readonly toLsn: Lsn;
}

/** Windows by timeline, in order of their ends. Its end as a time is in the last segments' heads: `commit-times.ts`. */
export function windowsOf<B extends BackupPoint>(backups: readonly B[], inventory: WalInventory): RecoveryWindow<B>[] {
  const byEnd = new Map<string, { last: PathSegment; backups: [B, ...B[]] }>();
  const rising = [...backups].sort((a, b) => (a.stopLsn < b.stopLsn ? -1 : a.stopLsn > b.stopLsn ? 1 : 0));
  for (const timeline of timelinesOf(inventory)) {
    for (const backup of rising) {
      const last = usableReach(backup, historyOf(inventory, timeline), inventory)?.last;
      // A path that breaks off on an ancestor ends a window of the ancestor.
      if (last?.timeline !== timeline) continue;
      const key = `${timeline} ${last.segno}`;
      const window = byEnd.get(key);
      if (window === undefined) byEnd.set(key, { last, backups: [backup] });
      else window.backups.push(backup);
    }
  }
  return [...byEnd.values()].map((window) => ({
    timeline: window.last.timeline,
    backups: window.backups,
    from: window.backups[0].stoppedAt,
    fromLsn: window.backups[0].stopLsn,
    last: window.last,
    toLsn: segmentStart(window.last.segno + 1n, inventory.segmentBytes),
  }));
}

/** Whether recovery along `history` can begin with this backup: it ended before its timeline was left. */
export function liesOn(backup: BackupPoint, history: TimelineHistory): boolean {
  const at = lineage(history).indexOf(backup.timeline);
  // Every switch from there on: after recovery to a point before a fork, a later one lies lower.
  return at >= 0 && history.entries.slice(at).every((entry) => backup.stopLsn <= entry.switchLsn);
}

/** How far one gets from a backup along `history`. `undefined`: it does not lie on it, or the WAL that makes it consistent is not all there. */
export function usableReach(backup: BackupPoint, history: TimelineHistory, inventory: WalInventory): Reach | undefined {
  if (!liesOn(backup, history)) return undefined;
  const { segmentBytes } = inventory;
  const legs = pathLegs(history, segnoOfLsn(backup.startLsn, segmentBytes), segmentBytes);
  const reach = reachAlong(legs, inventory);
  const consistent = segnoBefore(backup.stopLsn, segmentBytes);
  return reach.last !== undefined && legOf(legs, consistent) !== undefined && reach.last.segno >= consistent
    ? reach
    : undefined;
}

/** A partial stands in for its own segment, but shows that all before it existed. */
function highestSpanEnd(wal: TimelineWal): bigint | undefined {
  const highest = highestStored(wal);
  if (highest === undefined) return undefined;
  return wal.segments.runs.at(-1)?.last === highest ? highest : highest - 1n;
}
