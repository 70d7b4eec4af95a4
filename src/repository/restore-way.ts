import { formatLsn, type Lsn } from '../postgres/lsn.ts';
import type { TimelineHistory } from '../postgres/timeline-history.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import { formatIso } from '../postgres/timestamp.ts';
import { segmentName, segnoOfLsn } from '../postgres/wal-name.ts';
import { usableReach, type BackupPoint } from './coverage.ts';
import { legOf, pathLegs, reachAlong, type PathLeg, type PathSegment, type Reach } from './recovery-path.ts';
import type { SegmentTimes } from './segment-times.ts';
import type { ChosenTimeline } from './timeline-choice.ts';
import { partialsOf, walOf, type StoredPartial, type WalInventory } from './wal-inventory.ts';

/** A backup to plan with. */
export interface PlannedBackup extends BackupPoint {
  /** To the microsecond, since 1970. */
  readonly stoppedMicros: bigint;
  /** Why it cannot be restored, where its chain is broken. */
  readonly broken?: string | undefined;
}

/** What is known of the stored WAL. */
export interface WalEvidence {
  readonly inventory: WalInventory;
  readonly times: SegmentTimes;
}

/** A backup, the timeline to follow from it, and how far the stored WAL leads along it: at least to where the backup is consistent. */
export interface Way<B extends PlannedBackup = PlannedBackup> {
  readonly backup: B;
  readonly history: TimelineHistory;
  readonly stray: readonly TimelineId[];
  readonly legs: readonly PathLeg[];
  /** The segment that the backup starts in. */
  readonly first: bigint;
  readonly reach: Reach & { readonly last: PathSegment };
}

/** Segments that a way lacks; `last` is `undefined` where nothing more of it is stored. */
export interface MissingWal {
  readonly first: PathSegment;
  readonly last: PathSegment | undefined;
}

/** A moment to recover to, as far as it is known. Times in microseconds since 1970. */
export interface Point {
  readonly micros: bigint | undefined;
  readonly lsn: Lsn | undefined;
}

/** `undefined`: not even the backup would become consistent. */
export function wayOf<B extends PlannedBackup>(
  backup: B,
  { history, stray }: ChosenTimeline,
  inventory: WalInventory,
): Way<B> | undefined {
  const reach = usableReach(backup, history, inventory);
  if (reach?.last === undefined) return undefined;
  const first = segnoOfLsn(backup.startLsn, inventory.segmentBytes);
  const legs = pathLegs(history, first, inventory.segmentBytes);
  return { backup, history, stray, legs, first, reach: { ...reach, last: reach.last } };
}

/** What ends a way. */
export function missingBehind({ legs, reach }: Pick<Way, 'legs'> & { reach: Reach }): MissingWal {
  const { missing, next } = reach;
  if (next === undefined) return { first: missing, last: undefined };
  const segno = next.segno - 1n;
  return { first: missing, last: { timeline: legOf(legs, segno)?.timeline ?? next.timeline, segno } };
}

/** What keeps a backup from becoming consistent. */
export function missingOf(backup: PlannedBackup, { history }: ChosenTimeline, inventory: WalInventory): MissingWal {
  const legs = pathLegs(history, segnoOfLsn(backup.startLsn, inventory.segmentBytes), inventory.segmentBytes);
  return missingBehind({ legs, reach: reachAlong(legs, inventory) });
}

/** The partial that can stand in for the first missing segment of a way: there must be just one. */
export function partialFor(
  way: Way,
  inventory: WalInventory,
): { kind: 'none' } | { kind: 'one'; partial: StoredPartial } | { kind: 'several'; count: number } {
  const { timeline, segno } = way.reach.missing;
  const [partial, ...others] = partialsOf(walOf(inventory, timeline), segno);
  if (partial === undefined) return { kind: 'none' };
  return others.length === 0 ? { kind: 'one', partial } : { kind: 'several', count: others.length + 1 };
}

export function nameOf({ timeline, segno }: PathSegment, { segmentBytes }: Pick<WalInventory, 'segmentBytes'>): string {
  return segmentName(timeline, segno, segmentBytes);
}

/** `2026-11-22T17:45:00.000000Z (LSN 0/3000060)`, with what is known of it. */
export function describePoint({ micros, lsn }: Point): string {
  const time = micros === undefined ? undefined : formatIso(micros);
  const position = lsn === undefined ? undefined : `LSN ${formatLsn(lsn)}`;
  if (time === undefined) return position ?? 'unknown';
  return position === undefined ? time : `${time} (${position})`;
}
