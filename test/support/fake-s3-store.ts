import { randomBytes } from 'node:crypto';
import { systemClock } from '../../src/base/clock.ts';
import { retryPolicy } from '../../src/store/retry.ts';
import { s3Store, type S3StoreSettings } from '../../src/store/s3.ts';
import type { Store } from '../../src/store/store.ts';
import { withRetry } from '../../src/store/with-retry.ts';
import type { FakeBucket } from './fake-s3-bucket.ts';
import { FakeS3, type FakeS3Options } from './fake-s3.ts';

/** Small enough that a test need not send megabytes. */
export const FAKE_PART_BYTES = 100_000;

/** A fake of one's own with one bucket, and stores on it: each request tried once, and repeated until it works. */
export interface FakeWithStores extends AsyncDisposable {
  fake: FakeS3;
  bucket: FakeBucket;
  once: Store;
  retrying: Store;
  /** Another store on the same bucket. */
  store(settings: Partial<S3StoreSettings>): Promise<Store>;
}

export async function fakeWithStores(
  options: FakeS3Options & { requestTimeoutMs?: number } = {},
): Promise<FakeWithStores> {
  const fake = await FakeS3.start({ leastPartBytes: FAKE_PART_BYTES, ...options });
  const name = randomBytes(8).toString('hex');
  const bucket = fake.makeBucket(name);
  const pace = {
    clock: systemClock,
    random: Math.random,
    requestTimeoutMs: options.requestTimeoutMs ?? 20_000,
    longestPauseMs: 5,
  };
  const stores: Store[] = [];
  const store = async (settings: Partial<S3StoreSettings>): Promise<Store> => {
    const made = await s3Store({
      bucket: name,
      prefix: 'repo',
      endpoint: fake.endpoint,
      region: fake.region,
      pathStyle: true,
      partBytes: FAKE_PART_BYTES,
      policy: retryPolicy({ ...pace, tries: 1 }),
      credentials: () => Promise.resolve({ accessKeyId: fake.accessKey, secretAccessKey: fake.secretKey }),
      ...settings,
    });
    stores.push(made);
    return made;
  };
  const patient = retryPolicy(pace);
  return {
    fake,
    bucket,
    once: await store({}),
    retrying: withRetry(await store({ policy: patient }), patient),
    store,
    async [Symbol.asyncDispose]() {
      for (const one of stores) await one.close();
      await fake[Symbol.asyncDispose]();
    },
  };
}
