/**
 * Durable local files: the one place where something becomes visible under its final name. Written to a temporary name, fsynced,
 * then linked (create-only) or renamed (replacing), and the directory fsynced: after a crash the name holds all of it or none.
 */
import { randomBytes } from 'node:crypto';
import { link, mkdir, open, rename, unlink, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { systemCode } from './errors.ts';

/** Makes the entries of a directory survive a crash. Filesystems that cannot (EINVAL on some network mounts) are let through. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } catch (error) {
    if (systemCode(error) !== 'EINVAL') throw error;
  } finally {
    await handle.close();
  }
}

/** `mkdir -p` whose every new level is durable. `mode` is for new directories only. */
export async function makeDirectories(path: string, mode: number): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode });
  if (first === undefined) return;
  for (let at = path; ; at = dirname(at)) {
    await syncDirectory(dirname(at));
    if (at === first || at === dirname(at)) return;
  }
}

/** A temporary name nobody else will choose, beside or away from its final place (same filesystem). */
export function temporaryName(directory: string): string {
  return join(directory, `.tmp-${process.pid}-${randomBytes(6).toString('hex')}`);
}

/**
 * Publishes `fill`'s bytes under `path` if that name is free. Returns `exists`, having changed nothing, if it is not.
 * When it returns `created` the file and its name are on disk.
 */
export async function createDurably(
  path: string,
  fill: (handle: FileHandle) => Promise<void>,
  options: { mode: number; temporaryDirectory?: string },
): Promise<'created' | 'exists'> {
  const temporary = temporaryName(options.temporaryDirectory ?? dirname(path));
  await writeAndSync(temporary, fill, options.mode);
  try {
    await link(temporary, path);
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return 'exists';
    throw error;
  } finally {
    // A temporary name that stays is litter, not a failure: after the link the file is published.
    await unlink(temporary).catch(() => undefined);
  }
  await syncDirectory(dirname(path));
  return 'created';
}

/** Replaces `path` as a whole, durably, with this mode whatever the umask is. Never for anything inside a repository. */
export async function replaceDurably(path: string, bytes: Uint8Array | string, mode: number): Promise<void> {
  const temporary = temporaryName(dirname(path));
  const fill = async (handle: FileHandle): Promise<void> => {
    await handle.chmod(mode);
    await handle.writeFile(bytes);
  };
  await writeAndSync(temporary, fill, mode);
  try {
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  await syncDirectory(dirname(path));
}

async function writeAndSync(path: string, fill: (handle: FileHandle) => Promise<void>, mode: number): Promise<void> {
  const handle = await open(path, 'wx', mode);
  try {
    await fill(handle);
    // A failed fsync is final: the page cache may be clean afterwards, so the file is dropped, never synced again.
    await handle.sync();
    // Network filesystems report a full disk here.
    await handle.close();
  } catch (error) {
    await handle.close().catch(() => undefined);
    await unlink(path).catch(() => undefined);
    throw error;
  }
}
