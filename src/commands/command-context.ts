import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Config } from '../config/config.ts';
import type { AsOf } from './as-of.ts';

/** What every command of the companion is given. */
export interface CommandContext {
  config: Config;
  log: Log;
  clock: Clock;
  /** Evenly in [0, 1). */
  random: () => number;
  /** Aborts with `interrupted` when the operator stops the program. */
  signal: AbortSignal;
  /** Whether a process of this number exists. */
  isAlive: (pid: number) => boolean;
  environment: Readonly<Record<string, string | undefined>>;
  workingDirectory: string;
  /** Who stores: `walhold 1.2.3 on host`. */
  by: string;
  /** `--as-of`: the repositories are read as they were then. Only reading commands are given it. */
  asOf?: AsOf | undefined;
  /** Writes to stdout: results only. The text brings its own line ends. */
  print: (text: string) => void;
}

/** `fault`: the command did its work and what it found is wrong (exit status 1). Failures to do the work are errors. */
export type CommandOutcome = 'done' | 'fault';
