import { reasonOf } from '../base/errors.ts';
import { bucketProtection } from './gcs-bucket.ts';
import type { GcsClient } from './gcs-client.ts';
import type { GcsPlace } from './gcs-place.ts';
import type { CallOptions, LockRequest } from './store.ts';

/** There is no call of the API that adds it to a bucket that exists. */
export const NO_OBJECT_RETENTION =
  'The bucket must allow locks of objects: gcloud storage buckets create --enable-per-object-retention (existing buckets: in the console only).';

/** Why an object may lack a lock, as far as the bucket tells, and the command that mends it. */
export async function lockAdvice(
  client: GcsClient,
  place: GcsPlace,
  lock: LockRequest,
  { signal }: CallOptions,
): Promise<{ detail: string; hint: string }> {
  try {
    const { lockable, defaultRetention: policy, why } = await bucketProtection(client, place, { signal });
    if (lock.mode !== 'bucket') return { detail: seen(lockable, why), hint: NO_OBJECT_RETENTION };
    const seconds = Math.ceil(lock.periodMs / 1000);
    const hint = `Give the bucket a retention policy as long as lock_period: gcloud storage buckets update gs://${place.bucket} --retention-period=${seconds}s.`;
    if (policy === undefined) return { detail: `its policy may not be seen: ${why.join('; ')}`, hint };
    const detail =
      policy === 'none' ? 'the bucket has no policy' : `the bucket's policy is of ${policy.periodMs / 1000} s`;
    return { detail, hint };
  } catch (error) {
    signal.throwIfAborted();
    return { detail: reasonOf(error), hint: 'walhold check says what the bucket can do.' };
  }
}

function seen(lockable: boolean | undefined, why: readonly string[]): string {
  if (lockable === undefined) return `the bucket may not be seen: ${why.join('; ')}`;
  return lockable ? 'the bucket allows locks of objects' : 'the bucket allows no locks of objects';
}
