import { mkdir, open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { temporaryName } from '../base/durable.ts';
import { ioError } from '../base/errors.ts';

/**
 * Puts the content under `target` by one rename, all of it or nothing. Not fsynced: PostgreSQL makes durable what it keeps
 * (KeepFileRestoredFromArchive, access/transam/xlogarchive.c) and asks again for the rest after a crash. `directory`: for the
 * temporary file, on the target's filesystem; beside the target if it is left out. Throws `io`.
 */
export async function installFile(plain: Buffer, target: string, directory: string | undefined): Promise<void> {
  let temporary: string | undefined;
  try {
    if (directory !== undefined) await mkdir(directory, { recursive: true, mode: 0o700 });
    temporary = temporaryName(directory ?? dirname(target));
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(plain);
    } finally {
      // Network filesystems report a full disk here.
      await handle.close();
    }
    await rename(temporary, target);
  } catch (error) {
    if (temporary !== undefined) await unlink(temporary).catch(() => undefined);
    throw ioError(`could not write ${target}`, error);
  }
}
