import { constants } from 'node:fs';
import { chmod, chown, lstat, mkdir, open, readdir, stat, unlink, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { createDurably, syncDirectory } from '../base/durable.ts';
import { systemCode, WalholdError } from '../base/errors.ts';
import { writeWhole } from '../base/write-whole.ts';
import { abortable } from './abortable.ts';
import { fileStoreError, requireRoot, saysAbsent } from './file-errors.ts';
import { FILE_MODE, retainFile, unlocked, wholeSeconds } from './file-retention.ts';
import type { Body, CreateOptions, LockRequest } from './store.ts';

const DIRECTORY_MODE = 0o750;
/** Unfinished files: hidden from listings, on the repository's own filesystem so that they can be linked into place. */
export const TEMPORARY_DIRECTORY = '.walhold-tmp';
/** A writer alive writes; what has not been written for a day belongs to nobody. */
const LEFTOVER_MS = 24 * 3600 * 1000;

export type FileCreate = (key: string, body: Body, options: CreateOptions) => Promise<'created' | 'exists'>;

/** The writing half of a file store. A locked file is retained before it becomes visible: `unlocked` leaves nothing. */
export function fileCreator(root: string, clock: Clock): FileCreate {
  const temporaryDirectory = join(root, TEMPORARY_DIRECTORY);
  /** Directories whose own names are known to be on disk, up to the root. */
  const durable = new Set<string>();
  let sweeping = true;
  let owner: Owner | 'whoever writes' | undefined;

  const create = async (path: string, body: Body, options: CreateOptions): Promise<'created' | 'exists'> => {
    const directory = dirname(path);
    // A file that the server offers again needs neither space nor the right to write.
    const taken = body.kind === 'buffer' && (await lstat(path).catch(() => undefined)) !== undefined;
    if (taken) return await confirm(path);
    owner ??= (await ownerOfNew(root)) ?? 'whoever writes';
    await makeBelow(root, temporaryDirectory, owner);
    await makeBelow(root, directory, owner);
    if (sweeping) await sweep(temporaryDirectory, clock.now() - LEFTOVER_MS).catch(() => undefined);
    sweeping = false;
    const to = owner;
    const fill = async (handle: FileHandle): Promise<void> => {
      await fillFile(handle, body, options.signal);
      // Some mounts have no owners; the object is as good without.
      if (to !== 'whoever writes') await handle.chown(to.uid, to.gid).catch(() => undefined);
      await protect(handle, path, options.lock, clock);
      options.signal.throwIfAborted();
    };
    const result = await createDurably(path, fill, { mode: 0o600, temporaryDirectory });
    if (result === 'exists') return await confirm(path);
    await syncAbove(root, directory, durable);
    return result;
  };
  const confirm = async (path: string): Promise<'exists'> => {
    await syncExisting(path);
    await syncAbove(root, dirname(path), durable);
    return 'exists';
  };

  return async (key, body, options) => {
    const path = join(root, key);
    const { signal } = options;
    refuseDefaults(path, options.lock);
    try {
      return await abortable(signal, create(path, body, options));
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (error instanceof SourceFailure) throw error.cause;
      if (!saysAbsent(error)) throw fileStoreError(`could not create ${path}`, error);
      await abortable(signal, requireRoot(root));
      throw new WalholdError('unreachable', `could not create ${path}: its directory vanished`, { cause: error });
    }
  };
}

/** Who a new file or directory shall belong to. */
interface Owner {
  uid: number;
  gid: number;
}

/**
 * The account that what root makes in this repository belongs to: whoever wrote there first, else the owner of its directory. The server,
 * which is not root, must be able to read and to go on. `undefined`: this process is not root, and what it makes is its own.
 */
export async function ownerOfNew(root: string): Promise<Owner | undefined> {
  if (process.geteuid?.() !== 0) return undefined;
  const { uid, gid } = await stat(join(root, TEMPORARY_DIRECTORY)).catch(() => stat(root));
  return { uid, gid };
}

async function fillFile(handle: FileHandle, body: Body, signal: AbortSignal): Promise<void> {
  if (body.kind === 'buffer') await writeWhole(handle, body.bytes);
  else await pour(handle, body.chunks, signal);
}

async function protect(handle: FileHandle, path: string, lock: LockRequest | undefined, clock: Clock): Promise<void> {
  // Some mounts have no modes; without a lock the object is as good without.
  if (lock === undefined) await handle.chmod(FILE_MODE).catch(() => undefined);
  else {
    const until = wholeSeconds(clock.now() + lock.periodMs);
    await retainFile(handle, path, until).catch((error: unknown) => {
      throw error instanceof WalholdError ? error : unlocked(path, 'the filesystem refuses', error);
    });
  }
}

function refuseDefaults(path: string, lock: LockRequest | undefined): void {
  if (lock?.mode !== 'bucket') return;
  throw new WalholdError('unlocked', `could not create ${path} with a lock`, {
    detail: 'a directory has no default that locks its files, as lock_mode = bucket wants it',
    hint: 'Set lock_mode = governance or compliance, which are the same for files.',
  });
}

async function pour(handle: FileHandle, chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
  const source = chunks[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await abortable(signal, source.next()).catch((error: unknown) => {
        throw new SourceFailure(error);
      });
      if (next.done === true) return;
      await handle.writeFile(next.value);
    }
  } catch (error) {
    // Not awaited: a generator stuck in its own source would not return either.
    source.return?.().catch(() => undefined);
    throw error;
  }
}

/** Set apart, so that a system error of the stream that is read does not pass for one of the repository. */
class SourceFailure extends Error {
  constructor(cause: unknown) {
    super('the source failed', { cause });
  }
}

/** `mkdir -p` that never makes the root. Another process may remove or make the same directories at any moment. */
async function makeBelow(root: string, directory: string, owner: Owner | 'whoever writes'): Promise<void> {
  try {
    await mkdir(directory, { mode: DIRECTORY_MODE });
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return;
    if (systemCode(error) !== 'ENOENT' || dirname(directory) === root) throw error;
    await makeBelow(root, dirname(directory), owner);
    return makeBelow(root, directory, owner);
  }
  const inherited = (await stat(directory)).mode & 0o2000;
  await chmod(directory, DIRECTORY_MODE | inherited).catch(() => undefined);
  if (owner !== 'whoever writes') await chown(directory, owner.uid, owner.gid).catch(() => undefined);
}

/** The other writer may not have come to its fsync yet, and `exists` promises durability. */
async function syncExisting(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    if (!(await handle.stat()).isFile()) throw new WalholdError('damaged', `${path} is not a regular file`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await syncDirectory(dirname(path));
}

/** Whoever made the directories may not have come to their fsync, so every writer does it once. */
async function syncAbove(root: string, directory: string, durable: Set<string>): Promise<void> {
  for (let at = directory; at !== root && !durable.has(at); at = dirname(at)) {
    await syncDirectory(dirname(at));
    durable.add(at);
  }
}

async function sweep(temporaryDirectory: string, before: number): Promise<void> {
  for (const name of await readdir(temporaryDirectory)) {
    if (!name.startsWith('.tmp-')) continue;
    const path = join(temporaryDirectory, name);
    const found = await lstat(path);
    if (found.isFile() && found.mtimeMs < before) await unlink(path);
  }
}
