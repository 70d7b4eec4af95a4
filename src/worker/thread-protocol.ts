/** What the worker and its compressing threads say to each other. */
import type { ObjectHead } from '../repository/object-head.ts';
import type { FileState } from '../spool/file-state.ts';

/** `workerData`. */
export interface PrepareInput {
  /** What pg_control says of the cluster. */
  cluster: { readonly systemId: bigint; readonly segmentBytes?: number };
  level: number;
  by: string;
}

export interface ToPrepare {
  kind: 'prepare';
  name: string;
  path: string;
  /** Memory to put the object into, if it is large enough; handed over. */
  memory: ArrayBuffer | undefined;
}

export interface Prepared {
  kind: 'prepared';
  key: string;
  systemId: bigint;
  head: ObjectHead;
  bytes: Uint8Array;
  warnings: readonly string[];
  /** The file's when it was read. */
  state: FileState;
}
