/** What a report shows. Times are in milliseconds since 1970, sizes in bytes. */
import type { TimelineId } from '../../postgres/timeline.ts';

export interface ReportFacts {
  /** The moment that the page speaks of: now, or that of `--as-of`. */
  at: number;
  asOf: boolean;
  /** Who made it. */
  by: string;
  systemId: bigint;
  repositories: readonly RepositoryFact[];
  /** Oldest first. */
  backups: readonly BackupFact[];
  /** Identifiers of uploads without a record, and of records that cannot be trusted. */
  unfinished: readonly string[];
  damaged: readonly string[];
  windows: readonly WindowFact[];
  /** Without those that `expire` explains; of each timeline in its order, the last thousand. */
  gaps: readonly GapFact[];
  gapCount: number;
  /** Rising. */
  lanes: readonly Lane[];
  damagedHistories: readonly TimelineId[];
  /** Keys under `wal/` that no version of this format puts there. */
  strange: readonly string[];
  /** Traces of somebody else who writes or deletes. */
  traces: readonly string[];
  lastStored: { readonly name: string; readonly at: number } | undefined;
  wal: WalTimes;
  /** Newest first. */
  drills: readonly DrillFact[];
  locks: LockFacts;
}

export interface RepositoryFact {
  number: number;
  url: string;
  /** Why it could not be read; `undefined`: it was. */
  failure: string | undefined;
  lock: { readonly mode: string; readonly periodMs: number } | undefined;
  windowMs: number | undefined;
}

export interface BackupFact {
  id: string;
  type: 'full' | 'incremental';
  parent: string | undefined;
  label: string;
  stoppedAt: number;
  startLsn: string;
  timeline: TimelineId;
  pgVersion: string;
  sizeBytes: number;
  storedBytes: number;
  /** `undefined`: not locked, as far as is known. */
  lockedUntil: number | undefined;
  /** `undefined`: it can be restored. */
  fault: 'chain is broken' | 'WAL is missing' | undefined;
}

export interface WindowFact {
  timeline: TimelineId;
  from: number;
  to: number;
  fromLsn: string;
  toLsn: string;
}

export interface GapFact {
  timeline: TimelineId;
  /** Names of the first and the last missing segment. */
  first: string;
  last: string;
  count: bigint;
  /** When the segment before it was stored. */
  at: number | undefined;
}

/** One timeline. */
export interface Lane {
  timeline: TimelineId;
  /** Where it left the one that it comes from; `undefined`: its history names none. */
  fork: { readonly parent: TimelineId; readonly lsn: string; readonly at: number | undefined } | undefined;
  segments: number;
  bytes: number;
  /** Spans of the times of storing without a break in the segments, narrow breaks closed. */
  spans: readonly Span[];
}

export interface Span {
  from: number;
  to: number;
}

/** What the times of storing tell, by one pass over all that is stored. */
export interface WalTimes {
  /** By `YYYY-MM` of the storing, rising. */
  months: readonly MonthFact[];
  /** Rising, without a break; the width is that of the unit, but for the last. */
  pauses: readonly (Span & { readonly pauseMs: number })[];
  /** Of a few segments: how long after its last commit each was stored. */
  delays: readonly { readonly at: number; readonly delayMs: number }[];
}

export interface MonthFact {
  month: string;
  walBytes: number;
  backupBytes: number;
}

export interface DrillFact {
  at: number;
  ok: boolean;
  backup: string;
  target: string;
  rtoMs: number | undefined;
  rpoMs: number | undefined;
  /** Checks that found something wrong, with what they found. */
  failed: readonly string[];
}

export interface LockFacts {
  /** Whether any repository locks what it stores. */
  any: boolean;
  /** The first end among all that is needed. */
  nextEnd: number | undefined;
}
