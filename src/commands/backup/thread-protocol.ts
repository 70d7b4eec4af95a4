/** What the backup's main thread and its copying threads say to each other. All of it survives structured cloning. */
import type { PlainError } from '../../base/plain-error.ts';
import type { Lsn } from '../../postgres/lsn.ts';
import type { FrameRecord, StoredRecord } from '../../repository/backup-record.ts';
import type { DataPath } from '../../server/walk-data.ts';
import type { StoreSettings } from '../../store/open-store.ts';
import type { LockRequest } from '../../store/store.ts';

/** All that a thread must know. */
export interface ThreadInput {
  dataDirectory: string;
  repositories: readonly ThreadRepository[];
  requestTimeoutMs: number;
  /** Most tries of one request. */
  tries: number;
  level: number;
  /** For keys and descriptions. */
  backupId: string;
  systemId: string;
  by: string;
  /** `undefined`: pages carry no checksums. */
  pages: { pageBytes: number; blocksPerFile: number } | undefined;
  /** `undefined`: of a full backup. */
  increment: IncrementInput | undefined;
  /** A part ends after the file with which it has reached this. */
  partBytes: number;
  /** Plain bytes a second of all threads together. */
  maxRate: number | undefined;
  /** See `SharedCounters`. */
  counters: SharedArrayBuffer;
}

export interface IncrementInput {
  pageBytes: number;
  /** Where the parent started: pages with this LSN or a later one have changed. */
  since: Lsn;
  /** Milliseconds since 1970, when the parent began: a file made later is not the one that the parent holds. */
  parentStartedMs: number;
}

export interface ThreadRepository {
  settings: StoreSettings;
  /** What parts are locked with. */
  lock: LockRequest | undefined;
}

/** One errand: becomes one frame, or several where files turn out larger than they looked. */
export type CopyUnit =
  | { kind: 'files'; paths: readonly DataPath[] }
  | { kind: 'directories'; paths: readonly DataPath[] }
  | { kind: 'changes'; files: readonly ChangedFile[] };

/** A relation's file of which the parent holds an older state: only its changed blocks are copied, if that is less. */
export interface ChangedFile {
  path: string;
  /** Ascending block numbers in the file, some perhaps behind its end; `undefined`: to be found by the LSNs in its pages. */
  blocks: Uint32Array | undefined;
}

/** `begin` comes first, and once. */
export type ToThread =
  { kind: 'begin'; input: ThreadInput } | { kind: 'copy'; unit: CopyUnit } | { kind: 'finish' } | { kind: 'abort' };

/** `finished` and `failed` are the last words of a thread. */
export type FromThread =
  /** A unit is in a part, which may yet have to be made again: the next can come. */
  | { kind: 'copied' }
  /** Every repository holds the part, with these units in it. */
  | { kind: 'stored'; part: FinishedPart; copied: readonly CopiedUnit[] }
  | { kind: 'finished' }
  | { kind: 'failed'; error: PlainError };

export interface CopiedUnit {
  frames: readonly CopiedFrame[];
  badPages: readonly { path: string; block: number }[];
  blocks: BlockCounts;
}

/** Of relations' main forks in an incremental backup. */
export interface BlockCounts {
  /** All that the files have. */
  all: number;
  /** Those that are in the backup. */
  copied: number;
}

export interface CopiedFrame extends Omit<FrameRecord, 'files'> {
  part: number;
  files: readonly CopiedFile[];
}

export interface CopiedFile {
  path: string | Uint8Array;
  size: number;
  at: number;
  sha256: string;
  /** Seconds since 1970. */
  modifiedAt: number;
}

export interface FinishedPart extends StoredRecord {
  part: number;
  /** The frame that ends the tar. */
  lastFrame: FrameRecord;
}
