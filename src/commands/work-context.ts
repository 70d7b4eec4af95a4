import type { Worker } from 'node:worker_threads';
import type { Config } from '../config/config.ts';
import type { ControlFile } from '../postgres/control-file.ts';
import type { ConfigFile } from '../spool/service.ts';
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
