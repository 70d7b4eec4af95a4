import { Command, CommanderError } from 'commander';
import { hasCode, reasonOf, WalholdError } from '../base/errors.ts';
import { oneLine, textLog, type Log } from '../base/log.ts';
import { VERSION } from '../base/version.ts';
import { splitArguments } from '../config/arguments.ts';
import { addBackupCommand } from './commands/backup.ts';
import { addCheckCommand } from './commands/check.ts';
import { addCompletionCommand } from './commands/completion.ts';
import { addConfigCommand } from './commands/config.ts';
import { addDrillCommand } from './commands/drill.ts';
import { addExpireCommand } from './commands/expire.ts';
import { addListCommand } from './commands/list.ts';
import { addLockCommand } from './commands/lock.ts';
import { addRepoCommand } from './commands/repo.ts';
import { addReportCommand } from './commands/report.ts';
import { addRestoreCommand } from './commands/restore.ts';
import { addStatusCommand } from './commands/status.ts';
import { addVerifyCommand } from './commands/verify.ts';
import { addWalCommand } from './commands/wal.ts';
import { makeCompanion, PROGRAM, type Companion } from './companion.ts';
import { exitStatusHelp, settingsHelp } from './companion-help.ts';
import { unforeseenHint } from './unforeseen.ts';
import { usageError } from './usage-error.ts';
import { isUnread } from './write-result.ts';

/** Spellings of settings that PostgreSQL's tools have. */
const SHORT_FLAGS = { '-j': 'jobs' } as const;

/** In the order of `--help`. */
const COMMANDS: readonly ((companion: Companion) => void)[] = [
  addBackupCommand,
  addRestoreCommand,
  addListCommand,
  addCheckCommand,
  addStatusCommand,
  addReportCommand,
  addVerifyCommand,
  addDrillCommand,
  addWalCommand,
  addLockCommand,
  addExpireCommand,
  addRepoCommand,
  addConfigCommand,
  addCompletionCommand,
];

export interface CompanionProcess {
  argv: readonly string[];
  environment: Readonly<Record<string, string | undefined>>;
  signal: AbortSignal;
  workingDirectory: string;
  /** stdout. */
  print: (text: string) => void;
  /** stderr, a whole line. */
  write: (line: string) => void;
}

/** As for every program that a closed pipe has ended by a signal. */
const UNREAD = 141;

/**
 * Runs one call of the companion and resolves to its exit status; never rejects. Settings stand before or after the
 * sub-command, the rest is commander's. Each sub-command's work is loaded when it runs.
 */
export async function runCompanion(call: CompanionProcess): Promise<0 | 1 | 2 | typeof UNREAD> {
  let log = textLog(PROGRAM, 'error', call.write);
  try {
    return await parseAndRun(call, (configured) => (log = configured));
  } catch (error) {
    return isUnread(error) ? UNREAD : report(error, log, call);
  }
}

async function parseAndRun(call: CompanionProcess, useLog: (log: Log) => void): Promise<0 | 1> {
  const split = splitArguments(call.argv, SHORT_FLAGS);
  const program = baseProgram(call);
  let status: 0 | 1 = 1;
  const conclude: Parameters<typeof makeCompanion>[0]['conclude'] = (outcome) => {
    status = outcome === 'done' ? 0 : 1;
  };
  const companion = makeCompanion({ ...call, program, split, useLog, conclude });
  for (const add of COMMANDS) add(companion);
  try {
    await program.parseAsync(withoutVainHelp(program, split.rest), { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.code === 'commander.helpDisplayed' || error.code === 'commander.version') return 0;
    throw usageError(error, split.rest);
  }
  return status;
}

/** Commander answers `unknown --help` with the help of what is above, as if that were meant; so it is not told of the wish. */
function withoutVainHelp(program: Command, words: readonly string[]): string[] {
  let command = program;
  for (const word of words) {
    if (word.startsWith('-') || command.commands.length === 0) break;
    const next = command.commands.find((child) => child.name() === word);
    if (next === undefined) return words.filter((one) => one !== '--help' && one !== '-?');
    command = next;
  }
  return [...words];
}

function baseProgram(call: CompanionProcess): Command {
  return new Command(PROGRAM)
    .description('Stores and brings back PostgreSQL WAL and base backups.')
    .version(VERSION, '-V, --version', 'print the version')
    .helpOption('-?, --help', 'show this help')
    .helpCommand(false)
    .configureOutput({ writeOut: call.print, writeErr: () => {} })
    .addHelpText('after', settingsHelp)
    .addHelpText('afterAll', exitStatusHelp)
    .exitOverride();
}

function report(error: unknown, log: Log, call: CompanionProcess): 1 | 2 {
  if (error instanceof WalholdError) {
    const { message, detail, hint } = error;
    log.error(message, { detail, hint });
  } else {
    log.error('something unforeseen happened', {
      detail: reasonOf(error),
      hint: unforeseenHint(error),
    });
    if (error instanceof Error && error.stack !== undefined)
      for (const line of error.stack.split('\n')) call.write(oneLine(line));
  }
  return hasCode(error, 'usage', 'config', 'unsupported') ? 2 : 1;
}
