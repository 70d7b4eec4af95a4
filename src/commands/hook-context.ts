import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Config } from '../config/config.ts';

/** What PostgreSQL's two commands are given. */
export interface HookContext {
  config: Config;
  log: Log;
  clock: Clock;
  /** Evenly in [0, 1). */
  random: () => number;
  /** Aborts with `interrupted` when the call is told to stop. */
  signal: AbortSignal;
  /** The processes above this one, the launcher first. */
  callers: () => readonly number[];
  workingDirectory: string;
  /** The command line, settings and all. */
  argv: readonly string[];
  environment: Readonly<Record<string, string | undefined>>;
  /** How long the launcher has waited for a worker already, in ms. */
  waitedMs: number;
  /** Starts the worker of a data directory as a process of its own. */
  startWorker: (dataDirectory: string) => Promise<void>;
  /** Who stores: `walhold 1.2.3 on host`. */
  by: string;
}
