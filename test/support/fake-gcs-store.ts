import { randomBytes } from 'node:crypto';
import { systemClock } from '../../src/base/clock.ts';
import { gcsRemover } from '../../src/store/gcs-remove.ts';
import { gcsStore, type GcsStore, type GcsStoreSettings } from '../../src/store/gcs.ts';
import { retryPolicy } from '../../src/store/retry.ts';
import type { RemovingStore, Store } from '../../src/store/store.ts';
import { withRetry } from '../../src/store/with-retry.ts';
import type { FakeGcsBucket, FakeGcsBucketOptions } from './fake-gcs-bucket.ts';
import { FakeGcs, type FakeGcsOptions } from './fake-gcs.ts';

/** Small enough that a test need not send megabytes. */
export const FAKE_CHUNK_BYTES = 100_000;

/** A fake of one's own with one bucket, and stores on it: each request tried once, and repeated until it works. */
export interface FakeGcsWithStores extends AsyncDisposable {
  fake: FakeGcs;
  bucket: FakeGcsBucket;
  once: GcsStore;
  retrying: Pick<GcsStore, 'versions' | 'locks'> & Store;
  remover: RemovingStore;
  /** Another store on the same bucket. */
  store(settings: Partial<GcsStoreSettings>): GcsStore;
}

export interface FakeGcsSetup extends FakeGcsOptions {
  requestTimeoutMs?: number;
  bucket?: FakeGcsBucketOptions;
}

export async function fakeGcsWithStores(options: FakeGcsSetup = {}): Promise<FakeGcsWithStores> {
  const fake = await FakeGcs.start({ chunkUnit: FAKE_CHUNK_BYTES, ...options });
  const name = `b-${randomBytes(8).toString('hex')}`;
  const bucket = fake.makeBucket(name, options.bucket);
  const { requestTimeoutMs = 20_000 } = options;
  const pace = { clock: systemClock, random: Math.random, requestTimeoutMs, longestPauseMs: 5 };
  const closing: { close(): Promise<void> }[] = [];
  const settings = {
    bucket: name,
    prefix: 'repo',
    endpoint: fake.endpoint,
    chunkBytes: FAKE_CHUNK_BYTES,
    policy: retryPolicy({ ...pace, tries: 1 }),
  };
  const store = (more: Partial<GcsStoreSettings>): GcsStore => {
    const made = gcsStore({ ...settings, ...more });
    closing.push(made);
    return made;
  };
  const remover = gcsRemover(settings);
  closing.push(remover);
  const patient = retryPolicy(pace);
  return {
    fake,
    bucket,
    once: store({}),
    retrying: withRetry(store({ policy: patient }), patient) as FakeGcsWithStores['retrying'],
    remover,
    store,
    async [Symbol.asyncDispose]() {
      for (const one of closing) await one.close();
      await fake[Symbol.asyncDispose]();
    },
  };
}

/** Authorization by a token of the fake's, without the client library. */
export function bearing(token: string): GcsStoreSettings['authorization'] & object {
  return { headers: () => Promise.resolve({ authorization: `Bearer ${token}` }), forget() {} };
}
