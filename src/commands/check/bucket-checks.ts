/** What a bucket says of itself: versions, locks, rules that delete. What these credentials may not see is said, and is no fault. */
import { hasCode } from '../../base/errors.ts';
import { formatTime } from '../../postgres/units.ts';
import type { Repository } from '../../repository/repository.ts';
import type { BucketProtection, CallOptions, ObjectInfo } from '../../store/store.ts';
import { item, settingName, type CheckItem } from './check-item.ts';
import type { Mending } from './mending.ts';

const UNSEEN = 'not to be seen with these credentials';

/** What is known when the bucket is judged. */
export interface BucketLook {
  repository: Repository;
  mending: Mending;
  bucket: BucketProtection;
  /** The probe's object: its version tells what these credentials may not ask. */
  probe: ObjectInfo | undefined;
}

/** What may not be seen, or not be asked of this server, is `undefined`. Throws what the store says when it does not answer. */
export async function lookAtBucket({ store }: Repository, options: CallOptions): Promise<BucketProtection> {
  const nothing = { versioning: undefined, lockable: undefined, defaultRetention: undefined, lifecycle: undefined };
  if (store.locks === undefined) return { ...nothing, why: [] };
  try {
    return await store.locks.bucket(options);
  } catch (error) {
    if (!hasCode(error, 'denied', 'unsupported', 'store-rejected')) throw error;
    return { ...nothing, why: [error.message] };
  }
}

export function bucketChecks(look: BucketLook): CheckItem[] {
  return [versioningCheck(look), ...lockChecks(look), lifecycleCheck(look), retentionCheck(look.repository)];
}

/** Whether a replaced object stays, as far as anything tells. */
export function versioningOf({ bucket, probe }: Pick<BucketLook, 'bucket' | 'probe'>): BucketProtection['versioning'] {
  const seen = probe?.version !== undefined && probe.version !== 'null';
  return bucket.versioning ?? (seen ? 'on' : undefined);
}

function versioningCheck(look: BucketLook): CheckItem {
  const { repository, mending } = look;
  const name = `${settingName(repository.number)} versioning`;
  const expected = 'on: what is replaced or deleted stays as an older version';
  const found = versioningOf(look);
  if (found === undefined) return item(name, true, UNSEEN, expected, `See that it is on: ${mending.versioning}`);
  // Where GCS locks objects, nothing can be replaced: versions would add nothing.
  const needed = repository.lock !== undefined && repository.settings.scheme === 's3';
  const enough = found === 'on' || (repository.lock !== undefined && !needed);
  return item(name, enough || !needed, found, expected, enough ? undefined : mending.versioning);
}

function lockChecks(look: BucketLook): CheckItem[] {
  const { repository, mending, bucket } = look;
  const { lock, settings } = repository;
  if (lock === undefined) return [noLockItem(repository)];
  // A policy of a GCS bucket locks where single objects cannot be.
  if (settings.scheme === 'gs' && lock.mode === 'bucket') return [defaultCheck(look, lock)];
  const name = `${settingName(repository.number)} object lock`;
  const expected = EXPECTED_LOCK;
  if (bucket.lockable === false) {
    // Without locks there is no default either: one row says it.
    return [item(name, false, 'the bucket cannot lock objects', expected, mending.objectLock)];
  }
  const found = bucket.lockable === undefined ? UNSEEN : 'possible';
  return [item(name, true, found, expected), defaultCheck(look, lock)];
}

export const EXPECTED_LOCK = 'objects can be locked, and are';

/** Where the settings ask for none. */
export function noLockItem({ number }: Repository): CheckItem {
  const hint = 'Advice: set lock_mode and lock_period, so that nobody can delete what is stored.';
  return item(`${settingName(number)} object lock`, true, 'lock_mode is none', EXPECTED_LOCK, hint);
}

function defaultCheck({ repository, mending, bucket }: BucketLook, lock: NonNullable<Repository['lock']>): CheckItem {
  const name = `${settingName(repository.number)} default retention`;
  const decides = lock.mode === 'bucket';
  const expected = decides
    ? `at least lock_period, ${formatTime(lock.periodMs)}`
    : 'any: walhold asks for each lock itself';
  const { defaultRetention: found } = bucket;
  if (found === undefined) return item(name, true, UNSEEN, expected);
  const text = found === 'none' ? 'none' : `${found.mode} for ${formatTime(found.periodMs)}`;
  const ok = !decides || (found !== 'none' && found.periodMs >= lock.periodMs);
  return item(name, ok, text, expected, ok ? undefined : mending.defaultRetention(lock.periodMs));
}

/** They run as the bucket's owner, whatever rights anybody else has. */
function lifecycleCheck({ repository, mending, bucket }: BucketLook): CheckItem {
  const name = `${settingName(repository.number)} lifecycle rules`;
  const expected = 'none that deletes or hides objects';
  const { lifecycle } = bucket;
  if (lifecycle === undefined)
    return item(name, true, UNSEEN, expected, `See that there is none: ${mending.lifecycle}`);
  if (lifecycle.length === 0) return item(name, true, 'none', expected);
  const hint = `Remove them: "walhold expire" deletes what nothing needs. ${mending.lifecycle}`;
  return item(name, false, lifecycle.join('; '), expected, hint);
}

/** Whether the settings say how long anything is kept. */
export function retentionCheck({ number, retention, lock }: Repository): CheckItem {
  const name = `${settingName(number)} retention`;
  const expected = 'retention_window says for how long any moment stays recoverable';
  const { windowMs, fullBackups } = retention;
  if (windowMs === undefined) {
    const hint =
      'Warning: the repository only grows. Set retention_window; without it "walhold expire" removes nothing.';
    return item(name, true, 'retention_window is not set', expected, hint);
  }
  const count = `at least ${fullBackups} full backups`;
  const found = windowMs === 0 ? count : `${formatTime(windowMs)}, ${count}`;
  // The settings are refused where lock_period is shorter; a window begins with a backup that is older than it.
  const hint =
    lock === undefined
      ? undefined
      : `Locks run for ${formatTime(lock.periodMs)} from the writing; run "walhold lock extend" daily for what is needed longer.`;
  return item(name, true, found, expected, hint);
}
