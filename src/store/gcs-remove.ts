import { systemClock } from '../base/clock.ts';
import { WalholdError } from '../base/errors.ts';
import { bucketProtection } from './gcs-bucket.ts';
import { gcsClient } from './gcs-client.ts';
import { gcsAuthorization } from './gcs-credentials.ts';
import { deleteObject } from './gcs-delete.ts';
import { refusalOf } from './gcs-errors.ts';
import { gcsPlace } from './gcs-place.ts';
import { gcsReader } from './gcs-read.ts';
import { requireObjectKey } from './object-key.ts';
import type { GcsStoreSettings } from './gcs.ts';
import type { RemovingStore } from './store.ts';

/** Deletes generations of a GCS repository, by credentials that may. Throws `config` as the store does. */
export function gcsRemover(settings: GcsStoreSettings): RemovingStore {
  const { bucket, prefix, policy, clock = systemClock, authorization = gcsAuthorization(settings) } = settings;
  const client = gcsClient({ ...settings, authorization, clock });
  const place = gcsPlace(bucket, prefix, policy.requestTimeoutMs);
  const reader = gcsReader(client, place, policy.requestTimeoutMs);
  return {
    async remove(key, { signal, version }) {
      requireObjectKey(key);
      const what = `remove ${place.url}/${key}`;
      // Without a generation, a bucket that keeps versions would only set the live one aside.
      const generation = version ?? (await reader.object(what, key, { signal }))?.generation;
      if (generation === undefined) return;
      try {
        await deleteObject(client, place, { what, key, generation, signal });
      } catch (error) {
        if (refusalOf(error)?.status !== 404) throw error;
        // Gone already, or is it the bucket that is?
        if ((await reader.object(what, key, { signal, version: generation })) !== undefined) throw error;
      }
    },

    async hide(key, { signal }) {
      requireObjectKey(key);
      const what = `hide ${place.url}/${key}`;
      const { versioning } = await bucketProtection(client, place, { signal });
      if (versioning !== 'on') {
        throw new WalholdError('refused', `could not ${what}`, {
          detail: 'the bucket is not known to keep versions, and would delete it',
          hint: 'Switch object versioning on, or use credentials that may see the bucket (storage.buckets.get).',
        });
      }
      await deleteObject(client, place, { what, key, signal });
    },

    // eslint-disable-next-line typescript/require-await -- other stores have to wait
    async close() {
      client.close();
    },
  };
}
