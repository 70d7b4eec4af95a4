/** What the restore's main thread and its threads say to each other. All of it survives structured cloning. */
import type { RepositoryPlace } from '../../repository/repository.ts';
import type { RestorePiece } from '../../repository/restore-pieces.ts';
import type { Stranger } from '../../store/store.ts';
import type { JoinStep } from './member-content.ts';
import type { PlainError } from '../../base/plain-error.ts';

/** `workerData`. */
export interface ThreadInput {
  /** In the order to be asked. */
  repositories: readonly RepositoryPlace[];
  requestTimeoutMs: number;
  /** Read as the stores were at this moment. */
  asOf: Date | undefined;
  /** By the identifiers of the backup and of all that it builds on: the numbers of the repositories that hold it. */
  holders: Readonly<Record<string, readonly number[]>>;
  layout: TargetLayout;
  /** Two counters: plain bytes written, stored bytes read. */
  counters: SharedArrayBuffer;
}

/** Where the members of a backup go. */
export interface TargetLayout {
  /** Absolute. */
  dataDirectory: string;
  /** Tablespaces outside of it: what lies under `pg_tblspc/<oid>/` goes to `path`, absolute. */
  tablespaces: readonly { oid: string; path: string }[];
  /** For everything that is made; `undefined`: whoever runs this. */
  owner: { uid: number; gid: number } | undefined;
  /** How the cluster's relations are cut (pg_control). */
  blocks: { blockBytes: number; blocksPerFile: number };
  /** A file that gets another name until all is done: relative path to relative path. */
  heldBack: { path: string; as: string };
  /** Files that lie there are replaced; else there must be none. */
  replaces?: boolean;
}

/** A file of zeros, without blocks of its own. */
export interface BlankFile {
  path: string | Uint8Array;
  size: number;
}

/** `end`: nothing more will come; whatever runs is given up. */
export type ToThread =
  | { kind: 'restore'; piece: RestorePiece }
  | { kind: 'blank'; files: readonly BlankFile[]; mode: number }
  | { kind: 'sync' }
  | { kind: 'abort' }
  | { kind: 'end' };

export type FromThread =
  | { kind: 'restored'; steps: readonly JoinStep[] }
  | { kind: 'warning'; message: string; error: PlainError }
  /** Met in the repository of this number. */
  | { kind: 'stranger'; repository: number; stranger: Stranger }
  | { kind: 'blanked' }
  | { kind: 'synced' }
  | { kind: 'failed'; error: PlainError };
