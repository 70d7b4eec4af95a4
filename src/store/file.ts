/**
 * A directory as a store. Objects appear by link(2): all of one or nothing. The root is only made by `ensureRoot`; everything else
 * finds it missing (`store-gone`), since an unmounted share looks just so.
 *
 * Files get mode 0440 and directories 0750 whatever the umask is (the server's own would lock out every other reader): walhold
 * itself never changes a file again, and accidents need a chmod first. It is no protection from the user who owns them. With a lock
 * the access time says until when (`file-retention.ts`).
 */
import { lstat, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { systemClock, type Clock } from '../base/clock.ts';
import { syncDirectory } from '../base/durable.ts';
import { systemCode, WalholdError } from '../base/errors.ts';
import { abortable } from './abortable.ts';
import { fileCreator } from './file-create.ts';
import { fileStoreError, requireRoot, saysAbsent } from './file-errors.ts';
import { objectInfo } from './file-info.ts';
import { listFiles } from './file-list.ts';
import { fileLocks } from './file-locks.ts';
import { readFileObject } from './file-read.ts';
import { requireKeyPrefix, requireObjectKey } from './object-key.ts';
import type { Store } from './store.ts';

export interface FileStoreSettings {
  /** Absolute path of the repository. */
  root: string;
  clock?: Clock;
  /** Whether `retain` sets the immutable attribute where there is one; root does unless told otherwise. */
  immutable?: boolean;
}

export function fileStore(settings: FileStoreSettings): Store {
  const { root, clock = systemClock } = settings;
  const create = fileCreator(root, clock);

  /** `undefined` once the missing file is proven to be missing, not its filesystem. */
  const orAbsent = async (what: string, error: unknown, signal: AbortSignal): Promise<undefined> => {
    if (signal.aborted) throw signal.reason;
    if (!saysAbsent(error)) throw fileStoreError(what, error);
    await abortable(signal, requireRoot(root));
    return undefined;
  };

  return {
    url: pathToFileURL(root).href,

    async stat(key, { signal }) {
      requireObjectKey(key);
      const path = join(root, key);
      try {
        const stats = await abortable(signal, lstat(path, { bigint: true }));
        if (stats.isDirectory()) return undefined;
        if (stats.isFile()) return objectInfo(key, stats, clock.now());
      } catch (error) {
        return orAbsent(`could not look at ${path}`, error, signal);
      }
      throw new WalholdError('damaged', `${path} is not a regular file`);
    },

    async open(key, { signal, range, room }) {
      requireObjectKey(key);
      const path = join(root, key);
      try {
        return await readFileObject(path, key, { signal, range, room, now: clock.now() });
      } catch (error) {
        return orAbsent(`could not open ${path}`, error, signal);
      }
    },

    list(prefix, options) {
      requireKeyPrefix(prefix);
      return listFiles(root, prefix, { ...options, now: clock.now() });
    },

    async create(key, body, options) {
      requireObjectKey(key);
      return create(key, body, options);
    },

    locks: fileLocks(root, clock, settings.immutable ?? process.geteuid?.() === 0),

    close: () => Promise.resolve(),
  };
}

/**
 * Makes the repository's directory, its last level only: a missing parent is `store-gone`. For the first push or backup into a new
 * place, and nothing else.
 */
export async function ensureRoot(root: string): Promise<void> {
  try {
    await mkdir(root, { mode: 0o750 });
    await syncDirectory(dirname(root));
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return requireRoot(root);
    if (!saysAbsent(error)) throw fileStoreError(`could not make the repository's directory ${root}`, error);
    throw new WalholdError('store-gone', `the directory above the repository ${root} is missing`, {
      hint: `Mount the filesystem it lies on, or make ${dirname(root)}.`,
    });
  }
}
