import { spawnSync } from 'node:child_process';
import { cp, lstat, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { asAccount, type Account } from './server-user.ts';

/**
 * A folder of the current user's own that every other user may enter and nobody else may write to, under the system's
 * temporary directory; it stays from run to run. Should the name be taken by anything that is not exactly that (another
 * user's folder, a link), a fresh one is made instead and its content is not found again by a later run.
 */
export async function sharedPlace(): Promise<string> {
  const uid = userInfo().uid;
  const path = join(tmpdir(), `walhold-test-${uid}`);
  await mkdir(path, { mode: 0o755 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  const found = await lstat(path);
  if (found.isDirectory() && found.uid === uid && (found.mode & 0o777) === 0o755) {
    return path;
  }
  return await mkdtempEnterable(join(tmpdir(), `walhold-test-${uid}-`));
}

/** A new folder whose name begins with `prefix`, which every user may enter and only the current one may change. */
export async function mkdtempEnterable(prefix: string): Promise<string> {
  const path = await mkdtemp(prefix);
  const { chmod } = await import('node:fs/promises');
  await chmod(path, 0o755);
  return path;
}

/**
 * Brings a finished folder into being under its final name: `fill` gets a temporary folder beside it, which is renamed
 * when `fill` is done. Of several processes that do this at once the first wins and the others take what it made.
 */
export async function makeOnce(target: string, fill: (folder: string) => Promise<void>): Promise<string> {
  if (await isDirectory(target)) return target;
  const folder = await mkdtempEnterable(`${target}.tmp-`);
  try {
    await fill(folder);
    await rename(folder, target);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    if (!(await isDirectory(target))) throw error;
  }
  return target;
}

/**
 * A copy of `source` under the shared place, made once per `name` (which must therefore name the content, a version for
 * instance), that other users can read whatever the modes above `source` are.
 */
export async function copyForOthers(source: string, name: string): Promise<string> {
  return await makeOnce(join(await sharedPlace(), name), async (folder) => {
    await cp(source, folder, { recursive: true, verbatimSymlinks: true });
  });
}

/** True when `account` may read `path` (and enter or run it, when it is a folder or a program). */
export function mayUse(account: Account, path: string, execute = true): boolean {
  const test = execute ? 'test -r "$1" && test -x "$1"' : 'test -r "$1"';
  const result = spawnSync('/bin/sh', ['-c', test, 'sh', path], { ...asAccount(account), cwd: '/', stdio: 'ignore' });
  return result.status === 0;
}

async function isDirectory(path: string): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined);
  return found?.isDirectory() === true;
}
