import type { Worker } from 'node:worker_threads';
import type { Config } from '../config/config.ts';
import type { ControlFile } from '../postgres/control-file.ts';
import type { ServiceRequest } from '../spool/requests.ts';
import type { ConfigFile, Role } from '../spool/service.ts';
import type { RoleState } from '../spool/worker-state.ts';
import type { HookContext } from './hook-context.ts';

/** What the worker's process is given. */
export interface WorkContext extends Pick<HookContext, 'log' | 'clock' | 'random' | 'signal' | 'by'> {
  /** Absolute. */
  dataDirectory: string;
  /** Of this process. */
  pid: number;
  /** Of this process: what the SDKs read. */
  environment: Readonly<Record<string, string | undefined>>;
  isAlive: (pid: number) => boolean;
  /** Gives back all memory that nobody refers to. */
  releaseMemory: () => void;
  makeThread: (name: string, input: unknown) => Worker;
}

/** The cluster that a worker serves, as it was when the worker began. */
export interface WorkedCluster {
  /** Absolute. */
  dataDirectory: string;
  device: bigint;
  inode: bigint;
  /** The first three lines of `postmaster.pid`. */
  run: readonly [pid: string, dataDirectory: string, start: string];
  control: Pick<ControlFile, 'systemId'> & { readonly segmentBytes?: number };
}

/** What a call that is served runs with. */
export interface ServedSettings {
  key: string;
  config: Config;
  configFile: ConfigFile;
}

/** What a worker does for one of PostgreSQL's two commands. */
export interface RunningService {
  readonly role: Role;
  readonly settings: ServedSettings;
  /** Where its answers lie: another worker's there mean that this one is not wanted. */
  readonly answers: string;
  /** Serves until the signal aborts. Throws when answers cannot be given. */
  run(signal: AbortSignal): Promise<void>;
  /** A call of the same settings did its work itself. */
  called(request: ServiceRequest): void;
  readonly state: RoleState;
  /** When there was last something to do. */
  readonly busyAt: number;
  /** Ends what it needs only when there is something to do. Costs nothing when it rests already. */
  rest(): void;
  /** Why it is of no use any more, beyond what holds for every service. */
  isOver(): Promise<string | undefined>;
}
