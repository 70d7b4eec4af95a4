/**
 * What WAL is stored, over all repositories together: the numbers of the segments of each timeline, the partials, the histories.
 * Everything that judges coverage (restore, list, verify) starts from this; it holds no contents but the history files'.
 */
import { rootHistory, type TimelineHistory } from '../postgres/timeline-history.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import { previousStored } from './segment-runs.ts';
import { StoredSegments } from './stored-segments.ts';

export interface WalInventory {
  readonly segmentBytes: number;
  readonly timelines: ReadonlyMap<TimelineId, TimelineWal>;
  /** By timeline. Timeline 1 has none, nor has one whose file is stored nowhere. */
  readonly histories: ReadonlyMap<TimelineId, TimelineHistory>;
}

export interface TimelineWal {
  readonly segments: StoredSegments;
  /** Rising by segment; of one segment there can be several with different contents. */
  readonly partials: readonly StoredPartial[];
}

/** The old timeline's last segment as a promotion left it. */
export interface StoredPartial {
  readonly segno: bigint;
  readonly key: string;
  readonly storedAt: Date;
  readonly storedBytes: number;
  /** The repositories that hold it, by number, rising. */
  readonly repositories: readonly number[];
}

const NOTHING: TimelineWal = { segments: new StoredSegments(), partials: [] };

/** What is stored of one timeline: nothing, if need be. */
export function walOf(inventory: WalInventory, timeline: TimelineId): TimelineWal {
  return inventory.timelines.get(timeline) ?? NOTHING;
}

/** Where a timeline came from. Without a history file it descends from nothing, as PostgreSQL has it. */
export function historyOf(inventory: WalInventory, timeline: TimelineId): TimelineHistory {
  return inventory.histories.get(timeline) ?? rootHistory(timeline);
}

/** All timelines of which anything is known, rising. */
export function timelinesOf(inventory: WalInventory): TimelineId[] {
  return [...new Set([...inventory.timelines.keys(), ...inventory.histories.keys()])].sort((a, b) => a - b);
}

/** The highest segment number of which a segment or a partial is stored. `undefined`: nothing is stored of this timeline. */
export function highestStored(wal: TimelineWal): bigint | undefined {
  const segment = wal.segments.runs.at(-1)?.last;
  const partial = wal.partials.at(-1)?.segno;
  if (segment === undefined || partial === undefined) return segment ?? partial;
  return segment > partial ? segment : partial;
}

/** The highest of which a whole segment is stored, not above `segno`. */
export function highestSegmentUpTo(wal: TimelineWal, segno: bigint): bigint | undefined {
  return previousStored(wal.segments.runs, segno);
}

/** The partials of one segment. */
export function partialsOf(wal: TimelineWal, segno: bigint): readonly StoredPartial[] {
  return wal.partials.filter((partial) => partial.segno === segno);
}
