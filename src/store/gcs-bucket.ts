import { hasCode } from '../base/errors.ts';
import type { GcsClient } from './gcs-client.ts';
import { notGcs } from './gcs-errors.ts';
import type { GcsPlace } from './gcs-place.ts';
import type { BucketProtection, CallOptions } from './store.ts';

/** A bucket resource of the JSON API, as far as it is used here. */
interface BucketResource {
  name?: unknown;
  versioning?: { enabled?: boolean };
  objectRetention?: { mode?: string };
  /** `retentionPeriod` in seconds, as text. */
  retentionPolicy?: { retentionPeriod?: string };
  lifecycle?: { rule?: LifecycleRule[] };
}

interface LifecycleRule {
  action?: { type?: string; storageClass?: string };
  condition?: Record<string, unknown>;
}

const FIELDS = 'name,versioning,objectRetention,retentionPolicy,lifecycle';

/** Needs `storage.buckets.get`, which writers have no use for otherwise: without it nothing may be seen, and that is said. */
export async function bucketProtection(
  client: GcsClient,
  place: GcsPlace,
  { signal }: CallOptions,
): Promise<BucketProtection> {
  const what = `look at the bucket ${place.bucket}`;
  const request = { method: 'GET', path: place.bucketPath, query: { fields: FIELDS } } as const;
  try {
    const { body } = await place.ask(what, signal, (once) => client.json(request, once.abortSignal));
    const bucket = (body ?? {}) as BucketResource;
    if (typeof bucket.name !== 'string') throw notGcs(what, 'description of the bucket');
    return {
      versioning: bucket.versioning?.enabled === true ? 'on' : 'off',
      lockable: bucket.objectRetention?.mode === 'Enabled',
      defaultRetention: policyOf(bucket),
      lifecycle: (bucket.lifecycle?.rule ?? []).filter(removes).map(inWords),
      why: [],
    };
  } catch (error) {
    if (!hasCode(error, 'denied')) throw error;
    const why = [`${error.message}: ${error.detail ?? ''}`];
    return { versioning: undefined, lockable: undefined, defaultRetention: undefined, lifecycle: undefined, why };
  }
}

function policyOf({ retentionPolicy }: BucketResource): BucketProtection['defaultRetention'] {
  const seconds = Number(retentionPolicy?.retentionPeriod ?? 0);
  return seconds > 0 ? { mode: 'policy', periodMs: seconds * 1000 } : 'none';
}

function removes({ action }: LifecycleRule): boolean {
  return action?.type === 'Delete';
}

function inWords({ action, condition = {} }: LifecycleRule): string {
  const when = Object.entries(condition).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
  return `${action?.type ?? 'something'} when ${when.join(', ')}`;
}
