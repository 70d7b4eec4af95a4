import { constants, existsSync } from 'node:fs';
import { lstat, mkdir, open, readdir, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncDirectory } from '../../base/durable.ts';
import { ioError, systemCode, WalholdError } from '../../base/errors.ts';
import { CONTROL_FILE_PATH } from '../../postgres/control-file.ts';
import { readPostmaster } from '../../server/data-directory.ts';
import { formatBytes } from '../format-bytes.ts';
import { MARKER_NAME } from './restore-marker.ts';

export interface Owner {
  uid: number;
  gid: number;
}

/** What lies at a directory to be filled. */
export interface FoundDirectory {
  exists: boolean;
  /** `undefined`: it does not exist. */
  owner: Owner | undefined;
}

/**
 * Looks whether `path` can be filled: it is missing, or an empty directory. Throws `refused` for everything else; nothing that lies
 * there is ever removed. `what` is for messages.
 */
export async function requireEmpty(
  path: string,
  what: string,
  isAlive: (pid: number) => boolean,
): Promise<FoundDirectory> {
  let names: string[];
  let owner: Owner;
  try {
    const found = await stat(path);
    owner = { uid: found.uid, gid: found.gid };
    names = await readdir(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return { exists: false, owner: undefined };
    if (systemCode(error) === 'ENOTDIR') throw refused(`${what} ${path} is not a directory`, 'Name another one.');
    throw ioError(`could not look into ${what} ${path}`, error);
  }
  if (names.length === 0) return { exists: true, owner };
  const postmaster = await readPostmaster(path);
  if (postmaster !== undefined && isAlive(postmaster.pid)) {
    throw refused(
      `a server is running in ${path} (process ${postmaster.pid})`,
      'Stop it, and restore into an empty directory.',
    );
  }
  if (names.includes(MARKER_NAME) && !existsSync(join(path, CONTROL_FILE_PATH))) {
    throw refused(
      `${what} ${path} holds what an earlier restore left when it did not end`,
      'No server can start on that. Restore again with --delta, which goes on from it, or remove its contents first.',
    );
  }
  const hint =
    names.length === 1 && names[0] === 'lost+found'
      ? 'It is a mount point: use a directory below it.'
      : 'Name a new or empty directory; nothing that exists is removed here. With --delta the data directory of this cluster is replaced.';
  throw refused(`${what} ${path} is not empty`, hint);
}

/** Makes the directory if it is missing (with what is above it), for the owner alone. */
export async function makeDirectory(path: string, owner: Owner | undefined): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    const directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      if (owner !== undefined) await directory.chown(owner.uid, owner.gid);
      // It may have been there with another mode, which the server would refuse.
      await directory.chmod(0o700);
    } finally {
      await directory.close();
    }
    await syncDirectory(dirname(path));
  } catch (error) {
    throw ioError(`could not make the directory ${path}`, error);
  }
}

/**
 * Throws `io` unless every filesystem has room for what is going to lie on it. `needs`: bytes by directory, which may not exist yet; `freed`:
 * what is removed before.
 */
export async function requireSpace(
  needs: ReadonlyMap<string, number>,
  freed: ReadonlyMap<string, number> = new Map(),
): Promise<void> {
  const byDevice = new Map<number, { free: number; needed: number; path: string }>();
  const all = [...needs, ...[...freed].map(([path, bytes]) => [path, -bytes] as const)];
  for (const [path, bytes] of all) {
    const place = await nearestExisting(path);
    const { dev } = await stat(place);
    const { bavail, bsize } = await statfs(place);
    const known = byDevice.get(dev) ?? { free: bavail * bsize, needed: 0, path };
    known.needed += bytes;
    byDevice.set(dev, known);
  }
  for (const { free, needed, path } of byDevice.values()) {
    if (needed <= free) continue;
    throw new WalholdError('io', `there is not enough space for the restore at ${path}`, {
      detail: `${formatBytes(needed)} are needed, ${formatBytes(free)} are free`,
      hint: 'Free space there, or name another directory; nothing was written.',
    });
  }
}

async function nearestExisting(path: string): Promise<string> {
  for (let at = path; ; at = dirname(at)) {
    const found = await lstat(join(at, '.')).catch(() => undefined);
    if (found !== undefined || at === dirname(at)) return at;
  }
}

function refused(message: string, hint: string): WalholdError {
  return new WalholdError('refused', message, { hint });
}
