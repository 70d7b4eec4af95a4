import { open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { temporaryName } from '../base/durable.ts';
import { ioError, systemCode } from '../base/errors.ts';
import { makeSpoolDirectory } from '../spool/spool.ts';

/**
 * Puts the content under `target` by one rename, all of it or nothing. Not fsynced: PostgreSQL makes durable what it keeps
 * (KeepFileRestoredFromArchive, access/transam/xlogarchive.c) and asks again for the rest after a crash. `spool`: for the
 * temporary file, so that a call that is killed leaves its litter there; beside the target where there is none or it lies on another
 * filesystem. Throws `io`.
 */
export async function installFile(plain: Buffer, target: string, spool: string | undefined): Promise<void> {
  try {
    if (spool === undefined) await installVia(dirname(target), plain, target);
    else {
      await makeSpoolDirectory(spool);
      await installVia(spool, plain, target);
    }
  } catch (error) {
    if (spool !== undefined && systemCode(error) !== undefined && !isFinal(error)) {
      return installFile(plain, target, undefined);
    }
    throw ioError(`could not write ${target}`, error);
  }
}

/** A spool that cannot be used for this is no reason to fail; a target that cannot be written is. */
function isFinal(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'EISDIR', 'ENOTEMPTY'].includes(systemCode(error) ?? '');
}

async function installVia(directory: string, plain: Buffer, target: string): Promise<void> {
  const temporary = temporaryName(directory);
  try {
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(plain);
    } finally {
      // Network filesystems report a full disk here.
      await handle.close();
    }
    await rename(temporary, target);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
}
