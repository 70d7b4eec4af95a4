import { spawn } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { reasonOf, WalholdError } from '../base/errors.ts';

export interface HookRun {
  /** The shell's exit status; `undefined`: a signal or the deadline ended it. */
  status: number | undefined;
  /** The end of what it wrote to stderr. */
  said: string;
}

const DEADLINE_MS = 60_000;
const MOST_SAID = 2000;

/**
 * Runs a server's command line as the server would: in a shell, in the data directory, as its owner, with the environment of the
 * running server where that can be seen. Throws `refused` where this user is neither the owner nor root: a line that the owner
 * chose must not run as somebody else.
 */
export async function runHookLine(
  line: string,
  dataDirectory: string,
  options: {
    pid: number | undefined;
    environment: Readonly<Record<string, string | undefined>>;
    clock: Clock;
    signal: AbortSignal;
  },
): Promise<HookRun> {
  const owner = await stat(dataDirectory);
  const self = process.geteuid?.();
  if (self !== 0 && self !== owner.uid) {
    throw new WalholdError('refused', `could not run the server's command as its owner, user ${owner.uid}`, {
      hint: 'Run this as the user that runs the server.',
    });
  }
  const identity = self === 0 ? { uid: owner.uid, gid: owner.gid } : {};
  const env = (await environmentOf(options.pid)) ?? options.environment;
  const child = spawn('/bin/sh', ['-c', line], {
    ...identity,
    cwd: dataDirectory,
    env: { ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-MOST_SAID)));
  const ended = new AbortController();
  const stop = (): void => {
    try {
      // Its whole group: a launcher's program with it.
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  };
  options.clock.sleep(DEADLINE_MS, AbortSignal.any([ended.signal, options.signal])).then(stop, () => {
    if (!ended.signal.aborted) stop();
  });
  try {
    const status = await new Promise<number | undefined>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => resolve(code ?? undefined));
    });
    options.signal.throwIfAborted();
    return { status, said: said.trim() };
  } catch (error) {
    if (error instanceof WalholdError) throw error;
    throw new WalholdError('io', 'could not run a shell', { detail: reasonOf(error), cause: error });
  } finally {
    ended.abort();
    child.stderr.destroy();
  }
}

/** The postmaster's own environment, which its commands inherit. `undefined`: it cannot be seen. */
async function environmentOf(pid: number | undefined): Promise<Record<string, string> | undefined> {
  if (pid === undefined) return undefined;
  const text = await readFile(join('/proc', String(pid), 'environ'), 'utf8').catch(() => undefined);
  if (text === undefined || text === '') return undefined;
  const pairs = text.split('\0').filter((pair) => pair.includes('='));
  return Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]));
}
