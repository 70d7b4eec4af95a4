/**
 * Locks on files: retention by mode and access time (`file-retention.ts`), and the immutable attribute on top where root retains. None
 * of it stands against root on the host; the mode and the date alone do not stand against the owner either.
 */
import { constants, type BigIntStats } from 'node:fs';
import { lstat, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { hasCode, WalholdError } from '../base/errors.ts';
import { abortable } from './abortable.ts';
import { FileAttributes } from './file-attributes.ts';
import { fileStoreError, requireRoot, saysAbsent } from './file-errors.ts';
import { tryFileLock } from './file-lock-trial.ts';
import { immutableProtection, protectionOf, retainFile, unlocked, wholeSeconds } from './file-retention.ts';
import { requireObjectKey } from './object-key.ts';
import type { CallOptions, Protection, Retention, StoreLocks } from './store.ts';

const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** `makeImmutable`: what is retained gets the attribute too, which only root can give. */
export function fileLocks(root: string, clock: Clock, makeImmutable: boolean): StoreLocks {
  const attributes = new FileAttributes(root);

  /** `undefined`: cannot be known here, or the filesystem has no such attribute. */
  const isImmutable = async (key: string, options: CallOptions): Promise<boolean | undefined> => {
    try {
      return await attributes.isImmutable(key, options);
    } catch (error) {
      if (hasCode(error, 'unsupported', 'denied')) return undefined;
      throw error;
    }
  };
  /** Root in a container can lack the right to it: then mode and date are what there is. */
  const trySetImmutable = async (key: string, options: CallOptions): Promise<void> => {
    try {
      await attributes.setImmutable(key, true, options);
    } catch (error) {
      if (!hasCode(error, 'unsupported', 'denied')) throw error;
    }
  };
  const look = async (key: string, options: CallOptions): Promise<Protection | undefined> => {
    const stats = await statsOf(root, key, options);
    if (stats === undefined) return undefined;
    const immutable = (await isImmutable(key, options)) === true;
    return (immutable ? immutableProtection : protectionOf)(stats, clock.now());
  };

  return {
    look,

    /** Either mode is the same here. */
    async retain(key, { until }, options): Promise<Retention> {
      const path = join(root, key);
      const stats = await statsOf(root, key, options);
      if (stats === undefined) throw new WalholdError('not-found', `could not lock ${path}: it is not there`);
      const wanted = wholeSeconds(until.getTime());
      const short = protectionOf(stats, clock.now()).retention;
      const lengthen = short === undefined || short.until < wanted;
      const immutable = await isImmutable(key, options);
      if (lengthen && immutable === true) await attributes.setImmutable(key, false, options);
      try {
        if (lengthen) await abortable(options.signal, lengthenRetention(path, wanted));
      } finally {
        if (immutable === true && lengthen) await attributes.setImmutable(key, true, options);
      }
      if (immutable === false && makeImmutable) await trySetImmutable(key, options);
      const after = await look(key, options);
      if (after?.retention === undefined || after.retention.until < wanted) {
        throw unlocked(path, 'the date did not stay');
      }
      return after.retention;
    },

    hold: (key) =>
      Promise.reject(
        new WalholdError('unsupported', `could not hold ${join(root, key)}`, {
          detail: 'files know no legal hold',
          hint: 'Lengthen its retention instead: walhold lock extend.',
        }),
      ),

    async bucket({ signal }) {
      const { lockable, why } = await abortable(signal, tryFileLock(root, clock.now()));
      return { versioning: 'off', lockable, defaultRetention: 'none', lifecycle: [], why };
    },
  };
}

async function statsOf(root: string, key: string, { signal }: CallOptions): Promise<BigIntStats | undefined> {
  requireObjectKey(key);
  const path = join(root, key);
  try {
    const stats = await abortable(signal, lstat(path, { bigint: true }));
    if (stats.isFile()) return stats;
    if (stats.isDirectory()) return undefined;
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (!saysAbsent(error)) throw fileStoreError(`could not look at ${path}`, error);
    await abortable(signal, requireRoot(root));
    return undefined;
  }
  throw new WalholdError('damaged', `${path} is not a regular file`);
}

/** Durable when it returns. Never shortens: a date that is later stays. */
async function lengthenRetention(path: string, wanted: Date): Promise<void> {
  try {
    const handle = await open(path, FLAGS);
    try {
      const { atimeMs } = await handle.stat({ bigint: true });
      await retainFile(handle, path, wholeSeconds(Math.max(Number(atimeMs), wanted.getTime())));
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    const failure = fileStoreError(`could not lock ${path}`, error);
    if (failure.code !== 'denied' || failure === error) throw failure;
    throw new WalholdError('denied', failure.message, {
      ...(failure.detail === undefined ? {} : { detail: failure.detail }),
      hint: 'Only the owner of a file, or root, can lengthen its retention: run it as one of them.',
      cause: error,
    });
  }
}
