/**
 * A bucket of Google Cloud Storage, or a prefix of one, as a store. Creation is conditional (`ifGenerationMatch=0`), locked in the same
 * request, and checked by the server against a CRC-32C; a lock that was asked for is read back from the answer itself. A version
 * is a generation.
 *
 * Memory of a stream being created: `chunkBuffers` × `chunkBytes`, 48 MiB unless set otherwise.
 */
import { systemClock, type Clock } from '../base/clock.ts';
import { checkedReading } from './checked-reading.ts';
import { gcsClient, type GcsClient } from './gcs-client.ts';
import { gcsAuthorization, type GcsAuthorization } from './gcs-credentials.ts';
import { listGcs, listGcsVersions } from './gcs-list.ts';
import { gcsLocks } from './gcs-locks.ts';
import { protectionOf, type GcsObject } from './gcs-object.ts';
import { gcsPlace, type GcsPlace } from './gcs-place.ts';
import { gcsProbe } from './gcs-probe.ts';
import { gcsReader, type GcsReader } from './gcs-read.ts';
import { resumableRequests } from './gcs-resumable.ts';
import { uploadInChunks } from './gcs-upload.ts';
import { insertObject, type GcsObjectOptions } from './gcs-write.ts';
import { ensureLocked, isEnough, LOCK_TOLERANCE_MS } from './lock-proof.ts';
import { requireObjectKey } from './object-key.ts';
import type { GcsSettings } from './open-store.ts';
import type { RetryPolicy } from './retry.ts';
import type { Body, CreateOptions, LockRequest, Store, StoreLocks, StoreProbe } from './store.ts';

export interface GcsStoreSettings extends Omit<GcsSettings, 'scheme'> {
  /** Repeats the chunks of a stream, and says how long one request may take. Everything else is tried once. */
  policy: RetryPolicy;
  /** A multiple of 256 KiB. */
  chunkBytes?: number;
  /** How many of them one stream may have in memory, being filled, held back or sent; at least 3. */
  chunkBuffers?: number;
  clock?: Clock;
  /** In place of what the settings and the host give. */
  authorization?: GcsAuthorization;
}

/** A store with all its parts but those that a reader of versions adds. */
export type GcsStore = Required<Omit<Store, 'candidates' | 'report' | 'probe'>> & {
  probe: Required<Omit<StoreProbe, 'encryption'>>;
};

/** Asks the bucket nothing, and for credentials only with the first request. Throws `config` for settings that cannot work. */
export function gcsStore(settings: GcsStoreSettings): GcsStore {
  const { policy, clock = systemClock, authorization = gcsAuthorization(settings) } = settings;
  const client = gcsClient({ ...settings, authorization, clock });
  const place = gcsPlace(settings.bucket, settings.prefix, policy.requestTimeoutMs);
  const reader = gcsReader(client, place, policy.requestTimeoutMs);
  const locks = gcsLocks(client, place, reader);
  const objects: GcsObjectOptions = settings.kmsKey === undefined ? {} : { kmsKey: settings.kmsKey };
  const parts = { client, place, reader, locks, clock };
  return {
    url: place.url,

    ...checkedReading({
      stat: (key, options) => reader.stat(key, options),
      open: (key, options) => reader.open(key, options),
      list: (prefix, options) => listGcs(client, place, prefix, options),
      versions: { list: (prefix, options) => listGcsVersions(client, place, prefix, options) },
    }),
    create: (key, body, options) => createObject(parts, settings, objects, key, body, options),

    // eslint-disable-next-line typescript/require-await -- other stores have to wait
    async close() {
      client.close();
    },

    locks,
    clockSkewMs: () => client.clockSkewMs(),
    probe: gcsProbe(client, place, reader, objects),
  };
}

interface Parts {
  client: GcsClient;
  place: GcsPlace;
  reader: GcsReader;
  locks: StoreLocks;
  clock: Clock;
}

async function createObject(
  parts: Parts,
  settings: GcsStoreSettings,
  objects: GcsObjectOptions,
  key: string,
  body: Body,
  { signal, lock }: CreateOptions,
): Promise<'created' | 'exists'> {
  requireObjectKey(key);
  const { client, place, reader, clock } = parts;
  const asked = clock.now();
  const options = lock === undefined ? objects : { ...objects, lock };
  const inserted =
    body.kind === 'buffer'
      ? await insertObject(client, place, key, body.bytes, { ...options, signal })
      : await uploadInChunks(
          resumableRequests(client, place, reader, key, options),
          { chunkBytes: 16 * 1024 * 1024, chunkBuffers: 3, ...settings },
          body.chunks,
          signal,
        );
  if (lock !== undefined && inserted.result === 'created') {
    // By now the store's clock is known, if it was not before.
    const least = asked + (client.clockSkewMs() ?? 0) + lock.periodMs - LOCK_TOLERANCE_MS;
    await requireLock(parts, key, inserted.object, lock, least, signal);
  }
  return inserted.result;
}

/** By the store's own answer; one that shows no lock is looked at again, and locked if it can be. Throws `unlocked`. */
async function requireLock(
  { client, place, reader, locks }: Parts,
  key: string,
  object: GcsObject,
  lock: LockRequest,
  least: number,
  signal: AbortSignal,
): Promise<void> {
  if (isEnough(protectionOf(object, client.now()).retention, lock.mode, least)) return;
  const stat: Store['stat'] = (name, options) => reader.stat(name, options);
  const store = { url: place.url, stat, locks, clockSkewMs: () => client.clockSkewMs() };
  await ensureLocked(store, key, lock, { signal, version: object.generation });
}
