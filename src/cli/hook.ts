import { readFileSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { systemClock } from '../base/clock.ts';
import { reasonOf, WalholdError } from '../base/errors.ts';
import { jsonLog } from '../base/json-log.ts';
import { oneLine, textLog, type Log } from '../base/log.ts';
import { VERSION } from '../base/version.ts';
import type { HookContext } from '../commands/hook-context.ts';
import { splitArguments } from '../config/arguments.ts';
import { loadConfig } from '../config/load.ts';
import { callers } from './callers.ts';
import { endAs, type Ending } from './exit.ts';
import { stopSignal } from './stop-signals.ts';
import { unforeseenHint } from './unforeseen.ts';
import { writeResult } from './write-result.ts';

export interface Hook {
  program: 'walhold-push' | 'walhold-fetch';
  help: string;
  /** `words`: the command line without settings. */
  run(words: readonly string[], context: HookContext): Promise<Ending>;
}

/** How long a call that is told to stop may tidy up. */
const STOPPING_MS = 500;

/** Runs one of PostgreSQL's two commands to its end. Never returns. */
export async function runHook(hook: Hook): Promise<never> {
  const signal = stopSignal();
  // What does not listen (a system call on a dead disk) is left behind.
  signal.addEventListener('abort', () => setTimeout(() => endAs('stopped'), STOPPING_MS), { once: true });
  let log = textLog(hook.program, 'info', writeLine);
  try {
    const argv = process.argv.slice(2);
    if (argv.length === 1) answerInformation(hook, argv[0]);
    const split = splitArguments(argv);
    const readFile = (path: string): string => readFileSync(path, 'utf8');
    const { config, warnings } = loadConfig({ arguments: split, environment: process.env, readFile });
    log = (config.logFormat === 'json' ? jsonLog : textLog)(hook.program, config.logLevel, writeLine);
    for (const warning of warnings) log.warning(warning);
    const context: HookContext = {
      config,
      log,
      clock: systemClock,
      random: Math.random,
      signal,
      callers,
      workingDirectory: process.cwd(),
      argv,
      environment: process.env,
      waitedMs: waitedMs(process.env['_WALHOLD_POLLS']),
      startWorker: async (dataDirectory) => (await import('./start-worker.ts')).startWorker(dataDirectory),
      by: `walhold ${VERSION} on ${hostname()}`,
    };
    endAs(await hook.run(split.rest, context));
  } catch (error) {
    endAs(report(error, log));
  }
}

/** By the launcher's count of how long it waited for an answer, in units of 10 ms. */
function waitedMs(polls: string | undefined): number {
  return /^\d{1,5}$/.test(polls ?? '') ? Number(polls) * 12 : 0;
}

/** `--help` and `--version` only where nothing else is asked: in a server's command they must never pass for success. */
function answerInformation(hook: Hook, argument: string | undefined): void {
  if (argument === '--version' || argument === '-V') writeResult(`${hook.program} (walhold) ${VERSION}\n`);
  else if (argument === '--help' || argument === '-?') writeResult(hook.help);
  else return;
  endAs('done');
}

function report(error: unknown, log: Log): Ending {
  if (!(error instanceof WalholdError)) {
    log.error('something unforeseen happened', {
      detail: error instanceof Error ? error.stack : reasonOf(error),
      hint: unforeseenHint(error),
    });
    return 'failed';
  }
  const { code, message, detail, hint } = error;
  log.error(message, { detail, hint });
  if (code === 'interrupted') return 'stopped';
  return code === 'usage' || code === 'config' || code === 'unsupported' ? 'usage' : 'failed';
}

/** A log that cannot be written (its reader is gone, its disk full) must not decide how the call ends. */
function writeLine(line: string): void {
  try {
    writeSync(2, line === '' ? oneLine('') : line);
  } catch {
    // Nobody is there to be told.
  }
}
