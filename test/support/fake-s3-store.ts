import { randomBytes } from 'node:crypto';
import { systemClock } from '../../src/base/clock.ts';
import { retryPolicy, type RetryPolicy } from '../../src/store/retry.ts';
import type { S3Credentials } from '../../src/store/s3-client.ts';
import { s3Store, type S3StoreSettings } from '../../src/store/s3.ts';
import type { Store } from '../../src/store/store.ts';
import { withRetry } from '../../src/store/with-retry.ts';
import type { FakeBucket, FakeBucketOptions } from './fake-s3-bucket.ts';
import { FakeS3, type FakeS3Options } from './fake-s3.ts';

/** Small enough that a test need not send megabytes. */
export const FAKE_PART_BYTES = 100_000;

/** A fake of one's own with one bucket, and stores on it: each request tried once, and repeated until it works. */
export interface FakeWithStores extends AsyncDisposable {
  fake: FakeS3;
  bucket: FakeBucket;
  once: Store;
  retrying: Store;
  /** Repeats until it works. */
  patient: RetryPolicy;
  /** Another store on the same bucket. */
  store(settings: Partial<S3StoreSettings>): Promise<Store>;
  /** What a store there is made from, for the remover too. */
  settings: S3StoreSettings;
  /** Another store, signing with a key that may do only this. */
  storeOf(allowed: readonly string[], settings?: Partial<S3StoreSettings>): Promise<Store>;
}

export async function fakeWithStores(
  options: FakeS3Options & { requestTimeoutMs?: number; bucket?: FakeBucketOptions } = {},
): Promise<FakeWithStores> {
  const fake = await FakeS3.start({ leastPartBytes: FAKE_PART_BYTES, ...options });
  const name = randomBytes(8).toString('hex');
  const bucket = fake.makeBucket(name, options.bucket);
  const pace = {
    clock: systemClock,
    random: Math.random,
    requestTimeoutMs: options.requestTimeoutMs ?? 20_000,
    longestPauseMs: 5,
  };
  const stores: Store[] = [];
  const common: S3StoreSettings = {
    bucket: name,
    prefix: 'repo',
    endpoint: fake.endpoint,
    region: fake.region,
    pathStyle: true,
    partBytes: FAKE_PART_BYTES,
    policy: retryPolicy({ ...pace, tries: 1 }),
    credentials: keysOf(fake.accessKey),
  };
  const store = async (settings: Partial<S3StoreSettings>): Promise<Store> => {
    const made = await s3Store({ ...common, ...settings });
    stores.push(made);
    return made;
  };
  const patient = retryPolicy(pace);
  return {
    fake,
    bucket,
    once: await store({}),
    patient,
    retrying: withRetry(await store({ policy: patient }), patient),
    store,
    settings: common,
    storeOf(allowed, settings = {}) {
      const key = `AK${randomBytes(8).toString('hex')}`;
      fake.addKey(key, allowed);
      return store({ credentials: keysOf(key), ...settings });
    },
    async [Symbol.asyncDispose]() {
      for (const one of stores) await one.close();
      await fake[Symbol.asyncDispose]();
    },
  };
}

/** The fake's keys all have the same secret. */
export function keysOf(accessKeyId: string): S3Credentials {
  return () => Promise.resolve({ accessKeyId, secretAccessKey: 'secret' });
}
