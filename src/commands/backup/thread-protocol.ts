/** What the backup's main thread and its copying threads say to each other. All of it survives structured cloning. */
import type { PlainError } from '../../base/plain-error.ts';
import type { FrameRecord, StoredRecord } from '../../repository/backup-record.ts';
import type { DataPath } from '../../server/walk-data.ts';
import type { StoreSettings } from '../../store/open-store.ts';
import type { LockRequest } from '../../store/store.ts';

/** `workerData`. */
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
  /** A part ends after the file with which it has reached this. */
  partBytes: number;
  /** Plain bytes a second of all threads together. */
  maxRate: number | undefined;
  /** See `SharedCounters`. */
  counters: SharedArrayBuffer;
}

export interface ThreadRepository {
  settings: StoreSettings;
  /** What parts are locked with. */
  lock: LockRequest | undefined;
}

/** One errand: becomes one frame, or several where files turn out larger than they looked. */
export type CopyUnit =
  { kind: 'files'; paths: readonly DataPath[] } | { kind: 'directories'; paths: readonly DataPath[] };

export type ToThread = { kind: 'copy'; unit: CopyUnit } | { kind: 'finish' } | { kind: 'abort' };

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
