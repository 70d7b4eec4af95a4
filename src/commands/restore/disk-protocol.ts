/** What a restore over an existing directory and the threads that look at it say to each other. All of it survives structured cloning. */
import type { PlainError } from '../../base/plain-error.ts';
import type { TargetLayout } from './thread-protocol.ts';

/** `workerData`. */
export type DiskInput = Pick<TargetLayout, 'dataDirectory' | 'tablespaces' | 'owner' | 'heldBack'> & {
  /** The cluster's group may read. */
  groupReads: boolean;
};

/** Named as in the backup. */
export interface SizedFile {
  path: string | Uint8Array;
  size: number;
}

export type ToDiskThread =
  | { kind: 'digest'; files: readonly SizedFile[] }
  /** Files that stay: with the right owner and mode, and on disk. */
  | { kind: 'settle'; paths: readonly (string | Uint8Array)[] }
  | { kind: 'end' };

export type FromDiskThread =
  /** SHA-256 in hex, in the order asked; `undefined`: it cannot be read, or is no regular file of that size. */
  | { kind: 'digests'; digests: readonly (string | undefined)[] }
  | { kind: 'settled'; count: number }
  | { kind: 'failed'; error: PlainError };
