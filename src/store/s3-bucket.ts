/** What a bucket says of how it protects its objects: each question is a right of its own, and one refused hides only its answer. */
import {
  GetBucketLifecycleConfigurationCommand,
  GetBucketVersioningCommand,
  GetObjectLockConfigurationCommand,
  type DefaultRetention,
  type LifecycleRule,
  type S3Client,
} from '@aws-sdk/client-s3';
import { hasCode } from '../base/errors.ts';
import { answerOf, lacking } from './s3-errors.ts';
import { retentionMode } from './s3-retention.ts';
import type { S3Place } from './s3-place.ts';
import type { BucketProtection } from './store.ts';

const DAY_MS = 86_400_000;

export async function bucketProtection(
  client: S3Client,
  place: S3Place,
  signal: AbortSignal,
): Promise<BucketProtection> {
  const why: string[] = [];
  const visible = async <T>(asking: Promise<T>): Promise<T | undefined> => {
    try {
      return await asking;
    } catch (error) {
      if (!hasCode(error, 'denied', 'store-rejected')) throw error;
      why.push([error.message, error.detail, error.hint].filter((part) => part !== undefined).join(': '));
      return undefined;
    }
  };
  // In order, so that `why` is too.
  const versioning = await visible(bucketVersioning(client, place, signal));
  const locks = await visible(lockConfiguration(client, place, signal));
  const lifecycle = await visible(lifecycleRules(client, place, signal));
  return { versioning, lockable: locks?.lockable, defaultRetention: locks?.defaultRetention, lifecycle, why };
}

/** Throws `denied` with the right in the hint, as the others here. */
export async function bucketVersioning(
  client: S3Client,
  place: S3Place,
  signal: AbortSignal,
): Promise<'on' | 'suspended' | 'off'> {
  const command = new GetBucketVersioningCommand({ Bucket: place.bucket });
  try {
    const what = `ask for the versioning of ${place.bucket}`;
    const { Status } = await place.ask(what, signal, (once) => client.send(command, once));
    return Status === 'Enabled' ? 'on' : Status === 'Suspended' ? 'suspended' : 'off';
  } catch (error) {
    throw lacking(error, 's3:GetBucketVersioning');
  }
}

export async function lockConfiguration(
  client: S3Client,
  place: S3Place,
  signal: AbortSignal,
): Promise<Pick<BucketProtection, 'lockable' | 'defaultRetention'>> {
  const command = new GetObjectLockConfigurationCommand({ Bucket: place.bucket });
  try {
    const what = `ask for the object lock of ${place.bucket}`;
    const got = await place.ask(what, signal, (once) => client.send(command, once));
    const { ObjectLockEnabled, Rule } = got.ObjectLockConfiguration ?? {};
    return { lockable: ObjectLockEnabled === 'Enabled', defaultRetention: defaultOf(Rule?.DefaultRetention) };
  } catch (error) {
    const code = answerOf(error)?.code;
    if (code === 'ObjectLockConfigurationNotFoundError') return { lockable: false, defaultRetention: 'none' };
    throw lacking(error, 's3:GetBucketObjectLockConfiguration');
  }
}

function defaultOf(rule: DefaultRetention | undefined): BucketProtection['defaultRetention'] {
  const { Mode, Days, Years } = rule ?? {};
  if (Mode === undefined) return 'none';
  const days = (Days ?? 0) + (Years ?? 0) * 365;
  return days === 0 ? 'none' : { mode: retentionMode(Mode), periodMs: days * DAY_MS };
}

async function lifecycleRules(client: S3Client, place: S3Place, signal: AbortSignal): Promise<string[]> {
  const command = new GetBucketLifecycleConfigurationCommand({ Bucket: place.bucket });
  try {
    const what = `ask for the lifecycle rules of ${place.bucket}`;
    const { Rules = [] } = await place.ask(what, signal, (once) => client.send(command, once));
    return Rules.flatMap((rule) => removalBy(rule, place) ?? []);
  } catch (error) {
    if (answerOf(error)?.code === 'NoSuchLifecycleConfiguration') return [];
    throw lacking(error, 's3:GetLifecycleConfiguration');
  }
}

/** What a rule does to objects of ours, in S3's words; `undefined`: nothing that removes or hides. */
function removalBy(rule: LifecycleRule, place: S3Place): string | undefined {
  if (rule.Status !== 'Enabled') return undefined;
  const prefix = rule.Filter?.Prefix ?? rule.Filter?.And?.Prefix ?? '';
  const ours = place.keyOf('');
  if (!prefix.startsWith(ours) && !ours.startsWith(prefix)) return undefined;
  const { Expiration: expires, NoncurrentVersionExpiration: older } = rule;
  const acts = [
    expires?.Days === undefined ? undefined : `Expiration after ${expires.Days} days`,
    expires?.Date === undefined ? undefined : `Expiration on ${expires.Date.toISOString()}`,
    older?.NoncurrentDays === undefined ? undefined : `NoncurrentVersionExpiration after ${older.NoncurrentDays} days`,
  ].filter((act) => act !== undefined);
  if (acts.length === 0) return undefined;
  const of = prefix === '' ? 'everything' : prefix;
  return `rule ${rule.ID ?? 'without a name'}, for ${of}: ${acts.join(', ')}`;
}
