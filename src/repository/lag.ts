/** How far the WAL of a server is safe: as the repositories have it, and as its archiver was told. Pure. */
import type { Lsn } from '../postgres/lsn.ts';
import type { TimelineHistory } from '../postgres/timeline-history.ts';
import { segmentName, segmentStart, segnoOfLsn } from '../postgres/wal-name.ts';
import { liesOn, type BackupPoint } from './coverage.ts';
import { pathLegs, reachAlong, type PathSegment } from './recovery-path.ts';
import { nextStored } from './segment-runs.ts';
import { walOf, type WalInventory } from './wal-inventory.ts';

export interface SafeWal {
  /** The last segment that is stored without a hole before it. `undefined`: the first that is needed is missing. */
  last: PathSegment | undefined;
  /** Where it ends: all before is safe. */
  end: Lsn;
}

/**
 * Counted from the start of the newest backup on the server's history; without one, from the first stored segment of that history.
 * `undefined`: nothing of it is stored at all.
 */
export function safeWal(
  backups: readonly BackupPoint[],
  history: TimelineHistory,
  inventory: WalInventory,
): SafeWal | undefined {
  const { segmentBytes } = inventory;
  const newest = backups
    .filter((backup) => liesOn(backup, history))
    .reduce<BackupPoint | undefined>(
      (best, one) => (best === undefined || one.stopLsn > best.stopLsn ? one : best),
      undefined,
    );
  const from = newest === undefined ? firstStored(history, inventory) : segnoOfLsn(newest.startLsn, segmentBytes);
  if (from === undefined) return undefined;
  const { last } = reachAlong(pathLegs(history, from, segmentBytes), inventory);
  return { last, end: segmentStart(last === undefined ? from : last.segno + 1n, segmentBytes) };
}

/**
 * The same by the notes of a primary's archiver alone: counted up to the first complete segment that it was not told to be safe. What
 * was removed from `pg_wal` had been safe.
 */
export function archivedWal(
  { segments, newest }: { segments: readonly PathSegment[]; newest: PathSegment | undefined },
  done: ReadonlySet<string>,
  segmentBytes: number,
): SafeWal | undefined {
  const waiting = segments.find(({ timeline, segno }) => !done.has(segmentName(timeline, segno, segmentBytes)));
  const first = waiting ?? newest;
  return first === undefined ? undefined : { last: undefined, end: segmentStart(first.segno, segmentBytes) };
}

function firstStored(history: TimelineHistory, inventory: WalInventory): bigint | undefined {
  for (const leg of pathLegs(history, 0n, inventory.segmentBytes)) {
    const first = nextStored(walOf(inventory, leg.timeline).segments.runs, leg.first);
    if (first !== undefined && (leg.last === undefined || first <= leg.last)) return first;
  }
  return undefined;
}
