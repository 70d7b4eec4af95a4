import { lstat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { systemClock, type Clock } from '../base/clock.ts';
import { syncDirectory } from '../base/durable.ts';
import { systemCode, WalholdError } from '../base/errors.ts';
import { abortable } from './abortable.ts';
import { fileStoreError, requireRoot, saysAbsent } from './file-errors.ts';
import { readImmutable, setImmutable } from './file-immutable.ts';
import { protectionOf } from './file-retention.ts';
import { requireObjectKey } from './object-key.ts';
import type { CallOptions, RemovingStore } from './store.ts';

/**
 * Removes files of a repository, and leaves their directories. What is still retained is refused with `denied`, though the filesystem
 * would let it go; so is an immutable file, unless this is root and its retention is over.
 */
export function fileRemover(settings: { root: string; clock?: Clock }): RemovingStore {
  const { root, clock = systemClock } = settings;

  const remove = async (key: string, options: CallOptions): Promise<void> => {
    const path = join(root, key);
    const stats = await lstat(path, { bigint: true });
    if (!stats.isFile()) throw new WalholdError('damaged', `${path} is not a regular file`);
    const { retention } = protectionOf(stats, clock.now());
    if (retention !== undefined) throw retained(path, retention.until);
    try {
      await unlink(path);
    } catch (error) {
      if (systemCode(error) !== 'EPERM') throw error;
      await clearImmutable(root, key, error, options);
      await unlink(path);
    }
    await syncDirectory(dirname(path));
  };

  return {
    async remove(key, options) {
      requireObjectKey(key);
      const { signal } = options;
      try {
        await abortable(signal, remove(key, options));
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        if (!saysAbsent(error)) throw fileStoreError(`could not remove ${join(root, key)}`, error);
        await abortable(signal, requireRoot(root));
      }
    },
    close: () => Promise.resolve(),
  };
}

/** Throws `refused`, the error that led here, unless it was the attribute that stood in the way and this process may take it off. */
async function clearImmutable(root: string, key: string, refused: unknown, options: CallOptions): Promise<void> {
  const immutable = await readImmutable(root, [key], options).catch(() => undefined);
  if (immutable?.has(key) !== true) throw refused;
  await setImmutable(root, [key], false, options);
}

function retained(path: string, until: Date): WalholdError {
  return new WalholdError('denied', `could not remove ${path}`, {
    detail: `it is retained until ${until.toISOString()}`,
    hint: 'Wait until then.',
  });
}
