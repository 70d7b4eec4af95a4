/**
 * A bucket, or a prefix of one, as a store, on Amazon's S3 and on servers that speak its protocol. Creation is conditional
 * (`If-None-Match: *`) and checked by the server against a CRC-32C; a server that ignores either is found by `probe.ts`.
 *
 * Memory of a stream being created: `partBuffers` × `partBytes`, 48 MiB unless set otherwise, doubled for every 2,000 parts of one
 * object.
 */
import { systemClock, type Clock } from '../base/clock.ts';
import { checkedReading } from './checked-reading.ts';
import type { S3Settings } from './open-store.ts';
import type { RetryPolicy } from './retry.ts';
import { S3Advice } from './s3-advice.ts';
import { s3Client, type S3Credentials } from './s3-client.ts';
import { S3Clock } from './s3-clock.ts';
import { listS3 } from './s3-list.ts';
import { S3Locks } from './s3-locks.ts';
import { s3Place } from './s3-place.ts';
import { S3Probe } from './s3-probe.ts';
import { s3Reader } from './s3-read.ts';
import { listVersions } from './s3-versions.ts';
import { S3Writer } from './s3-writer.ts';
import type { LockMemory, Store } from './store.ts';

export interface S3StoreSettings extends Omit<S3Settings, 'scheme'> {
  /** Repeats the parts of a stream, and says how long one request may take. Everything else is tried once. */
  policy: RetryPolicy;
  /** At least the 5 MiB that S3 asks of every part but the last. */
  partBytes?: number;
  /** How many of them one stream may have in memory, being filled or sent. */
  partBuffers?: number;
  /** In place of the SDK's chain. */
  credentials?: S3Credentials;
  /** What earlier calls saw of locks here; in its absence each store finds out for itself. */
  lockMemory?: LockMemory | undefined;
  clock?: Clock;
}

/** Loads credentials and region lazily, asks the bucket nothing. Throws `config` for settings that cannot work. */
export async function s3Store(settings: S3StoreSettings): Promise<Store> {
  const { policy, clock = systemClock } = settings;
  const client = await s3Client({ ...settings, requestTimeoutMs: policy.requestTimeoutMs });
  const place = s3Place(settings.bucket, settings.prefix, policy.requestTimeoutMs);
  const storeClock = new S3Clock(clock);
  storeClock.watch(client);
  const reader = s3Reader(client, place, storeClock, policy.requestTimeoutMs);
  const advice = new S3Advice(settings);
  const reading: Omit<Store, 'create' | 'probe'> = {
    url: place.url,

    ...checkedReading({
      stat: (key, options) => reader.stat(key, options),
      open: (key, options) => reader.open(key, options),
      list: (prefix, options) => listS3(client, place, prefix, options),
      versions: { list: (prefix, options) => listVersions(client, place, prefix, options) },
    }),
    locks: new S3Locks(client, place, { reader, clock: storeClock, advice }),
    clockSkewMs: () => storeClock.skewMs(),

    // eslint-disable-next-line typescript/require-await -- other stores have to wait
    async close() {
      client.destroy();
    },
  };
  const writer = new S3Writer(client, place, reading, { clock: storeClock, advice, settings });
  return { ...reading, create: writer.create, probe: new S3Probe(client, place, reader, settings) };
}
