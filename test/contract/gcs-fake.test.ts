import { randomBytes } from 'node:crypto';
import { systemClock } from '../../src/base/clock.ts';
import { gcsStore } from '../../src/store/gcs.ts';
import { retryPolicy } from '../../src/store/retry.ts';
import type { Store } from '../../src/store/store.ts';
import { withRetry } from '../../src/store/with-retry.ts';
import { withVersions } from '../../src/store/with-versions.ts';
import { refusal } from '../support/fake-gcs-messages.ts';
import type { FakeGcsBucketOptions } from '../support/fake-gcs-bucket.ts';
import { FakeGcs } from '../support/fake-gcs.ts';
import { drops, says } from '../support/fake-s3-faults.ts';
import { storeSuite, type StoreUnderTest } from './store-suite.ts';

/** Small pages and chunks, so that every test crosses their edges. */
const CHUNK_BYTES = 100_000;
const pace = { clock: systemClock, random: Math.random, requestTimeoutMs: 10_000, longestPauseMs: 5 };
const patient = retryPolicy(pace);
const later = says(refusal(503, 'backendError'));

interface SuiteSetup {
  prefix: string;
  bucket?: FakeGcsBucketOptions;
  decorate?: (store: ReturnType<typeof gcsStore>) => Store;
  /** Each test begins with some requests that fail. */
  faulty?: boolean;
}

function suiteOnFake(title: string, setup: SuiteSetup): void {
  const { prefix, decorate = (store) => store, faulty = false } = setup;
  let fake: FakeGcs | undefined;
  // eslint-disable-next-line typescript/require-await -- other stores have to wait
  const makeStore = async (): Promise<StoreUnderTest> => {
    if (fake === undefined) throw new Error('the fake was not started');
    const bucket = `b-${randomBytes(8).toString('hex')}`;
    fake.makeBucket(bucket, setup.bucket);
    const policy = faulty ? patient : retryPolicy({ ...pace, tries: 1 });
    const store = gcsStore({ bucket, prefix, endpoint: fake.endpoint, policy, chunkBytes: CHUNK_BYTES });
    for (const fault of faulty ? [later, drops, says(refusal(429, 'rateLimitExceeded'))] : []) fake.fail(fault);
    return { store: decorate(store), dispose: () => store.close() };
  };
  storeSuite(title, makeStore, {
    severalPartsBytes: 5 * CHUNK_BYTES + 1,
    start: async () => {
      fake = await FakeGcs.start({ pageItems: 3, chunkUnit: CHUNK_BYTES });
    },
    stop: async () => fake?.[Symbol.asyncDispose](),
  });
}

suiteOnFake('a strict GCS', { prefix: 'some/prefix' });
suiteOnFake('a strict GCS, the whole bucket, through retry and faults', {
  prefix: '',
  faulty: true,
  decorate: (store) => withRetry(store, patient),
});
suiteOnFake('a strict GCS that keeps versions, read by the oldest', {
  prefix: 'repo',
  bucket: { versioning: true, objectRetention: true },
  decorate: (store) => withVersions(store),
});
