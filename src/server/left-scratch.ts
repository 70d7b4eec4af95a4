/** Scratch directories whose drill died together with its keeper, as when a machine goes down: found, and cleared by the next. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { lchown, lstat, readdir, readFile, readlink, realpath, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { readPostmaster } from './data-directory.ts';
import { BASIC_PATH, type Account } from './keeper.ts';

/** Names of scratch directories begin so. */
export const SCRATCH_PREFIX = 'walhold-drill-';
/** In each, a line for every process that looks after it: `<pid> <start>`. */
export const PROCESSES = 'processes';
const NAME = /^walhold-drill-[A-Za-z0-9]{6}$/;
const MOST_WAIT_MS = 30_000;
const MOST_WRITING_MS = 5000;
const LOOK_EVERY_MS = 100;

/** Writes down who looks after a scratch directory. */
export async function noteProcesses(
  scratch: string,
  pids: readonly number[],
  account: Account | undefined,
): Promise<void> {
  const lines = await Promise.all(pids.map(async (pid) => `${pid} ${(await startOf(pid)) ?? '-'}\n`));
  const path = join(scratch, PROCESSES);
  await writeFile(path, lines.join(''), { mode: 0o600, flag: 'wx' });
  if (account !== undefined) await lchown(path, account.uid, account.gid);
}

/**
 * Clears what nobody looks after any more, of this account alone: ends the server that runs there, then removes it. Resolves to the
 * directories that were found so. `account`: as for the keeper.
 */
export async function clearLeftScratch(
  parent: string,
  { account, uid, clock, signal }: { account: Account | undefined; uid: number; clock: Clock; signal: AbortSignal },
): Promise<string[]> {
  const cleared: string[] = [];
  // A place that may not be listed is one in which nobody can look after anything.
  const names = await readdir(parent).catch(() => []);
  for (const name of names.filter((one) => NAME.test(one))) {
    const scratch = join(parent, name);
    const found = await lstat(scratch).catch(() => undefined);
    if (found?.isDirectory() !== true || found.uid !== (account?.uid ?? uid)) continue;
    if (!(await isLeft(scratch))) continue;
    await clearScratch(scratch, { account, clock, signal });
    cleared.push(scratch);
  }
  return cleared;
}

/**
 * Ends the server that runs in a scratch directory, then removes it; again, while a last process of it still writes there, for some
 * seconds. One that is gone already is fine.
 */
export async function clearScratch(
  scratch: string,
  { account, clock, signal }: { account: Account | undefined; clock: Clock; signal: AbortSignal },
): Promise<void> {
  await endServer(scratch, { clock, signal });
  const until = clock.now() + MOST_WRITING_MS;
  for (;;) {
    await removeAs(account, scratch);
    if (!existsSync(scratch) || clock.now() >= until) return;
    await clock.sleep(LOOK_EVERY_MS, signal);
  }
}

async function isLeft(scratch: string): Promise<boolean> {
  const text = await readFile(join(scratch, PROCESSES), 'latin1').catch(() => undefined);
  // A drill that has just begun, or what somebody wants to keep, has none.
  if (text === undefined) return false;
  for (const [, pid = '', start] of text.matchAll(/^([0-9]{1,10}) (\S+)$/gm)) {
    if ((await startOf(Number(pid))) === start) return false;
  }
  return true;
}

/** Only a process that works in that very directory is its server. */
async function endServer(scratch: string, { clock, signal }: { clock: Clock; signal: AbortSignal }): Promise<void> {
  const dataDirectory = join(scratch, 'data');
  const pid = (await readPostmaster(dataDirectory))?.pid;
  if (pid === undefined) return;
  const isServer = async (): Promise<boolean> => {
    const where = await readlink(`/proc/${pid}/cwd`).catch(() => undefined);
    return where !== undefined && where === (await realpath(dataDirectory).catch(() => undefined));
  };
  if (!(await isServer())) return;
  process.kill(pid, 'SIGQUIT');
  const until = clock.now() + MOST_WAIT_MS;
  while ((await isServer()) && clock.now() < until) await clock.sleep(LOOK_EVERY_MS, signal);
}

/** As the account that owns it: it could put links there that root must not follow. */
async function removeAs(account: Account | undefined, scratch: string): Promise<void> {
  await new Promise<void>((resolve) => {
    const child = spawn('rm', ['-rf', '--', scratch], {
      ...account,
      cwd: '/',
      env: { PATH: BASIC_PATH },
      stdio: 'ignore',
    });
    child.once('error', () => resolve());
    child.once('exit', () => resolve());
  });
  // The account may empty a directory that it cannot remove.
  await rmdir(scratch).catch(() => undefined);
}

/** When a process began, so that a number used again is another one; `undefined`: it has ended, or this system does not tell. */
async function startOf(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined);
  // The second field, in brackets, can hold anything; the third is the state, the 22nd the start.
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields?.[0] === 'Z' ? undefined : fields?.[19];
}
