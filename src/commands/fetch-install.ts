import { open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { temporaryName } from '../base/durable.ts';
import { ioError, systemCode } from '../base/errors.ts';
import { writeWhole } from '../base/write-whole.ts';
import { makeSpoolDirectory } from '../spool/spool.ts';

export interface InstallOptions {
  /** For the temporary file, so that a call that is killed leaves its litter there; without it, beside the target. */
  spool: string | undefined;
  /** Throws to leave everything as it was. */
  beforeRename: () => void;
}

/**
 * Puts the content under `target` by one rename, all of it or nothing. Not fsynced: PostgreSQL makes durable what it keeps
 * (KeepFileRestoredFromArchive, access/transam/xlogarchive.c) and asks again for the rest after a crash. Throws `io`.
 */
export async function installFile(plain: Buffer, target: string, options: InstallOptions): Promise<void> {
  const { spool, beforeRename } = options;
  try {
    if (spool !== undefined) await makeSpoolDirectory(spool);
    await installVia(spool ?? dirname(target), plain, target, beforeRename);
  } catch (error) {
    // A spool that cannot be used for this, full or on another filesystem, is no reason to fail; a target that cannot be written is.
    if (spool !== undefined && systemCode(error) !== undefined)
      return installFile(plain, target, { ...options, spool: undefined });
    throw ioError(`could not write ${target}`, error);
  }
}

/**
 * Has the disk begin with a segment that lies ready: PostgreSQL syncs each one that it restores before it replays it
 * (KeepFileRestoredFromArchive, access/transam/xlogarchive.c), and finds little left to do then. Nothing depends on it: never fails.
 */
export async function syncAhead(path: string): Promise<void> {
  try {
    const handle = await open(path, 'r');
    try {
      await handle.datasync();
    } finally {
      await handle.close();
    }
  } catch {
    // Taken already, or dropped; and what cannot be synced, PostgreSQL finds out.
  }
}

async function installVia(directory: string, plain: Buffer, target: string, beforeRename: () => void): Promise<void> {
  const temporary = temporaryName(directory);
  try {
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await writeWhole(handle, plain);
    } finally {
      // Network filesystems report a full disk here.
      await handle.close();
    }
    beforeRename();
    await rename(temporary, target);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
}
