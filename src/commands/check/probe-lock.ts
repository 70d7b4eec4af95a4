/** Whether what these credentials store gets the lock that is asked for, by the probe's object. */
import { hasCode } from '../../base/errors.ts';
import type { Clock } from '../../base/clock.ts';
import { formatTime } from '../../postgres/units.ts';
import { PROBE_KEY } from '../../repository/layout.ts';
import type { Repository } from '../../repository/repository.ts';
import { ensureLocked } from '../../store/lock-proof.ts';
import type { CallOptions, Protection } from '../../store/store.ts';
import { failedLook, item, settingName, type CheckItem } from './check-item.ts';

/**
 * The probe is made once, so an old one may have outlived its lock: then a new one is asked for, where these credentials may, and
 * where they may not the next segment shows what locks are worth. Nothing to say where nothing is locked.
 */
export async function probeLockChecks(
  { number, store, lock }: Repository,
  { signal, clock }: CallOptions & { clock: Clock },
): Promise<CheckItem[]> {
  if (lock === undefined) return [];
  const name = `${settingName(number)} probe is locked`;
  const expected = lock.mode === 'bucket' ? "locked by the bucket's default" : `locked in mode ${lock.mode}`;
  try {
    const info = await store.stat(PROBE_KEY, { signal });
    if (info === undefined) return [];
    const version = info.version === undefined ? {} : { version: info.version };
    const reading = { signal, ...version };
    try {
      await ensureLocked(store, PROBE_KEY, lock, reading);
    } catch (error) {
      const ranOut = info.storedAt.getTime() + lock.periodMs <= clock.now() + (store.clockSkewMs?.() ?? 0);
      if (!ranOut || !hasCode(error, 'denied', 'unlocked')) throw error;
      const hint = 'Only a new object can show it: look at the row about the segment.';
      return [item(name, true, `its lock ran out, ${formatTime(lock.periodMs)} after it was made`, expected, hint)];
    }
    return [
      item(name, true, describe(await store.locks?.look(PROBE_KEY, { ...reading, retentionOnly: true })), expected),
    ];
  } catch (error) {
    signal.throwIfAborted();
    return [failedLook(name, expected, error)];
  }
}

/** The same for a segment that was stored just now. */
export async function segmentLockCheck(
  { number, store, lock }: Repository,
  { key, version }: { key: string; version?: string },
  { signal }: CallOptions,
): Promise<CheckItem[]> {
  if (lock === undefined) return [];
  const name = `${settingName(number)} segment locked`;
  const expected = 'the segment that was just stored is locked';
  try {
    const found = await store.locks?.look(key, {
      signal,
      retentionOnly: true,
      ...(version === undefined ? {} : { version }),
    });
    if (isLocked(found)) return [item(name, true, describe(found), expected)];
    const hint = "Let the server's archive_command have the same lock settings as here, and the right to set locks.";
    return [item(name, false, 'it has no lock', expected, hint)];
  } catch (error) {
    signal.throwIfAborted();
    return [failedLook(name, expected, error)];
  }
}

function isLocked(protection: Protection | undefined): boolean {
  return protection?.retention !== undefined;
}

function describe(protection: Protection | undefined): string {
  const retention = protection?.retention;
  return retention === undefined ? 'no lock' : `${retention.mode} until ${retention.until.toISOString()}`;
}
