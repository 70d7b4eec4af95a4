import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { type Command, Option } from 'commander';
import { systemClock } from '../base/clock.ts';
import { jsonLog } from '../base/json-log.ts';
import { textLog, type Log, type LogLevel } from '../base/log.ts';
import { VERSION } from '../base/version.ts';
import { parseAsOf } from '../commands/as-of.ts';
import type { CommandContext, CommandOutcome } from '../commands/command-context.ts';
import type { SplitArguments } from '../config/arguments.ts';
import type { Config } from '../config/config.ts';
import type { LoadInput } from '../config/gather.ts';
import { loadConfig } from '../config/load.ts';
import { hostZone } from '../postgres/target-time.ts';
import { chooseRepositories } from '../repository/repository.ts';
import { isAlive } from './is-alive.ts';

/** The name that messages begin with. */
export const PROGRAM = 'walhold';

/** Options that many commands have; see {@link withCommonOptions}. */
export interface CommonOptions {
  verbose?: boolean;
  useRepo?: string;
  asOf?: string;
}

/**
 * What a sub-command's glue (`commands/*.ts`) works with: it adds itself to `program` and hands its plan to `run`, which reads the
 * settings first, so that `--help` works without any.
 */
export interface Companion {
  program: Command;
  /** Settings on the command line, and where else they come from. */
  settings: LoadInput;
  run: (options: CommonOptions, plan: (context: CommandContext) => Promise<CommandOutcome>) => Promise<void>;
  /** For the rare command that must work with settings that make no whole configuration. */
  runWithoutConfig: (plan: (context: Omit<CommandContext, 'config'>) => Promise<CommandOutcome>) => Promise<void>;
}

export interface CompanionInput {
  program: Command;
  split: SplitArguments;
  environment: Readonly<Record<string, string | undefined>>;
  signal: AbortSignal;
  workingDirectory: string;
  print: (text: string) => void;
  write: (line: string) => void;
  /** Told of the log that the settings ask for, once they are read. */
  useLog: (log: Log) => void;
  conclude: (outcome: CommandOutcome) => void;
}

export function makeCompanion(input: CompanionInput): Companion {
  const { program, environment, signal, print, workingDirectory } = input;
  const by = `walhold ${VERSION} on ${hostname()}`;
  const always = { clock: systemClock, random: Math.random, signal, isAlive, environment, workingDirectory, by, print };
  const settings: LoadInput = {
    arguments: input.split,
    environment,
    readFile: (path) => readFileSync(path, 'utf8'),
  };
  return {
    program,
    settings,
    async run(options, plan) {
      const loaded = loadConfig(settings);
      const { logLevel, logFormat } = loaded.config;
      const level: LogLevel = options.verbose === true ? 'debug' : logLevel;
      const log: Log = (logFormat === 'json' ? jsonLog : textLog)(PROGRAM, level, input.write);
      input.useLog(log);
      for (const warning of loaded.warnings) log.warning(warning);
      const config = chosenRepositories(loaded.config, options.useRepo);
      const asOf = options.asOf === undefined ? undefined : parseAsOf(options.asOf, hostZone);
      input.conclude(await plan({ ...always, config, log, asOf }));
    },
    async runWithoutConfig(plan) {
      input.conclude(await plan({ ...always, log: textLog(PROGRAM, 'info', input.write) }));
    },
  };
}

/**
 * `-v`, for every command; `--use-repo N`, for those that do not store for good; `--as-of TIME`, for those that only read (`check` tries
 * the store as it is now).
 */
export function withCommonOptions(command: Command, kind: 'reads' | 'checks' | 'writes'): Command {
  command.addOption(new Option('-v, --verbose', 'write messages of every level'));
  if (kind === 'writes') return command;
  command.addOption(new Option('--use-repo <N>', 'read this repository only (1 for repo, 2 for repo2)'));
  if (kind === 'checks') return command;
  return command.addOption(
    new Option('--as-of <TIME>', 'read a versioned repository as it was then; without a zone it is local time'),
  );
}

/** Of commands that look at a server; both as PostgreSQL's own tools have them. */
export interface ServerFlags {
  pgdata?: string;
  dbname?: string;
}

export function withServerOptions(command: Command): Command {
  return command
    .addOption(new Option('-D, --pgdata <DIRECTORY>', 'data directory (default: PGDATA)'))
    .addOption(new Option('-d, --dbname <CONNSTR>', 'connection string; PG* variables count as for psql'));
}

/** Figures of one repository alone must not replace those of all in `metrics_file`. */
function chosenRepositories(config: Config, useRepo: string | undefined): Config {
  const [first, ...others] = chooseRepositories(config.repositories, useRepo);
  if (useRepo === undefined || first === undefined) return config;
  return { ...config, repositories: [first, ...others], metricsFile: undefined };
}
