/** What the worker and its compressing threads say to each other. */
import type { PlainError } from '../base/plain-error.ts';
import type { ObjectHead } from '../repository/object-head.ts';
import type { FileState } from '../spool/file-state.ts';

/** `workerData`. */
export interface PrepareInput {
  /** What pg_control says of the cluster. */
  cluster: { readonly systemId: bigint; readonly segmentBytes?: number };
  level: number;
  by: string;
}

export type ToPrepare = { kind: 'prepare'; name: string; path: string } | { kind: 'end' };

export type FromPrepare =
  | {
      kind: 'prepared';
      key: string;
      systemId: bigint;
      head: ObjectHead;
      bytes: Uint8Array;
      warnings: readonly string[];
      state: FileState;
    }
  | { kind: 'failed'; error: PlainError };
