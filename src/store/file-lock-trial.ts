import { constants } from 'node:fs';
import { open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryName } from '../base/durable.ts';
import { reasonOf, WalholdError } from '../base/errors.ts';
import { requireRoot } from './file-errors.ts';
import { movesAccessTimes } from './file-mount.ts';
import { retainFile, wholeSeconds } from './file-retention.ts';
import { TEMPORARY_DIRECTORY } from './file-create.ts';

const YEAR_MS = 365 * 24 * 3600 * 1000;

/**
 * Whether files in this repository can be retained, by trying with one that nobody will see. `undefined` where none may be made.
 * `why`: what is wrong, for people.
 */
export async function tryFileLock(
  root: string,
  now: number,
): Promise<{ lockable: boolean | undefined; why: string[] }> {
  await requireRoot(root);
  const why: string[] = [];
  if ((await movesAccessTimes(root)) === true) {
    why.push(
      'the filesystem is mounted with strictatime: whoever reads a file ends its retention; remount it with relatime',
    );
  }
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
  const made = async (directory: string): Promise<[string, Awaited<ReturnType<typeof open>>]> => {
    const path = temporaryName(directory);
    return [path, await open(path, flags, 0o600)];
  };
  try {
    const [path, handle] = await made(join(root, TEMPORARY_DIRECTORY)).catch(() => made(root));
    try {
      await retainFile(handle, path, wholeSeconds(now + YEAR_MS));
      return { lockable: true, why };
    } catch (error) {
      const detail = error instanceof WalholdError ? error.detail : undefined;
      return { lockable: false, why: [...why, detail ?? reasonOf(error)] };
    } finally {
      await handle.close();
      await unlink(path).catch(() => undefined);
    }
  } catch (error) {
    return { lockable: undefined, why: [...why, `no file can be made there to try with: ${reasonOf(error)}`] };
  }
}
