/**
 * Retention of a file, kept as WORM filesystems keep it (SnapLock, SmartLock, Spectrum Scale): no permission to write, and an access
 * time in the future, which is the moment until which it is retained. Plain filesystems obey neither the mode where root or the owner
 * insists nor the date; walhold's own `remove` does.
 *
 * What a reading does to such an access time: Linux with `relatime`, the default, moves an access time only if it is not after the times
 * of writing and change, or older than a day, so one in the future stays. `noatime` never moves it. With `strictatime` every reading by
 * anybody sets it to now, and the retention is over; `O_NOATIME`, with which this store reads, spares it, but only the owner and root
 * may ask for that (kernel: fs/inode.c, relatime_need_update; open(2)).
 */
import type { BigIntStats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { reasonOf, WalholdError } from '../base/errors.ts';
import type { Protection, Retention } from './store.ts';

/** What a directory's every object gets, locked or not. */
export const FILE_MODE = 0o440;
const WRITE_BITS = 0o222n;
const NO_PROTECTION: Protection = { retention: undefined, hold: false };

/** What mode and access time say at the moment `now` (ms). The immutable attribute cannot be seen there. */
export function protectionOf(stats: BigIntStats, now: number): Protection {
  const retention = (stats.mode & WRITE_BITS) === 0n ? retainedUntil(stats, now) : undefined;
  return retention === undefined ? NO_PROTECTION : { retention, hold: false };
}

/** The same of a file that bears the immutable attribute, whatever its mode: `immutable` until that moment. */
export function immutableProtection(stats: BigIntStats, now: number): Protection {
  const retention = retainedUntil(stats, now);
  return retention === undefined ? NO_PROTECTION : { retention: { ...retention, mode: 'immutable' }, hold: false };
}

function retainedUntil(stats: BigIntStats, now: number): Retention | undefined {
  const until = Number(stats.atimeMs);
  return until > now ? { mode: 'read-only', until: new Date(until) } : undefined;
}

/** Filesystems keep whole seconds at least; a lock is never shorter than was asked for. */
export function wholeSeconds(ms: number): Date {
  return new Date(Math.ceil(ms / 1000) * 1000);
}

/**
 * Retains an open file until `until` (whole seconds); the time of writing stays to the nanosecond. Throws `unlocked` where the
 * filesystem does not keep the date or the mode, system errors as they are where it refuses.
 */
export async function retainFile(handle: FileHandle, path: string, until: Date): Promise<void> {
  // An invalid date is UTIME_OMIT to Node 24: only so the time of writing is left alone.
  await handle.utimes(until, new Date(Number.NaN));
  await handle.chmod(FILE_MODE);
  const stats = await handle.stat({ bigint: true });
  if ((stats.mode & WRITE_BITS) !== 0n) throw unlocked(path, 'its mode cannot be made read-only');
  if (stats.atimeMs < BigInt(until.getTime())) {
    const kept = new Date(Number(stats.atimeMs)).toISOString();
    throw unlocked(path, `of the access time ${until.toISOString()} it keeps ${kept}`);
  }
}

/** For a refusal by the filesystem while a lock is made. */
export function unlocked(path: string, detail: string, cause?: unknown): WalholdError {
  return new WalholdError('unlocked', `could not lock ${path}`, {
    detail: cause === undefined ? detail : `${detail}: ${reasonOf(cause)}`,
    hint: 'Locks on files need a filesystem that keeps modes and access times (ext4, XFS, NFS); use one, or lock_mode = none.',
    cause,
  });
}
