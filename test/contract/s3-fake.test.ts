import { randomBytes } from 'node:crypto';
import { systemClock } from '../../src/base/clock.ts';
import { retryPolicy } from '../../src/store/retry.ts';
import { s3Store } from '../../src/store/s3.ts';
import type { Store } from '../../src/store/store.ts';
import { withRetry } from '../../src/store/with-retry.ts';
import { FakeS3 } from '../support/fake-s3.ts';
import { storeSuite, type StoreUnderTest } from './store-suite.ts';

/** Small pages and parts, so that every test crosses their edges. */
const PART_BYTES = 100_000;
const clock = { clock: systemClock, random: Math.random, requestTimeoutMs: 10_000 };
const patient = retryPolicy(clock);

function suiteOnFake(title: string, prefix: string, decorate: (store: Store) => Store): void {
  let fake: FakeS3 | undefined;
  const makeStore = async (): Promise<StoreUnderTest> => {
    if (fake === undefined) throw new Error('the fake was not started');
    const { endpoint, region, accessKey, secretKey } = fake;
    const bucket = randomBytes(8).toString('hex');
    fake.makeBucket(bucket);
    const credentials = { accessKeyId: accessKey, secretAccessKey: secretKey };
    const store = await s3Store({
      bucket,
      prefix,
      endpoint,
      region,
      pathStyle: true,
      policy: retryPolicy({ ...clock, tries: 1 }),
      partBytes: PART_BYTES,
      credentials: () => Promise.resolve(credentials),
    });
    return { store: decorate(store), dispose: () => store.close() };
  };
  storeSuite(title, makeStore, {
    severalPartsBytes: 5 * PART_BYTES + 1,
    start: async () => {
      fake = await FakeS3.start({ pageKeys: 3, leastPartBytes: PART_BYTES });
    },
    stop: async () => fake?.[Symbol.asyncDispose](),
  });
}

suiteOnFake('a strict S3', 'some/prefix', (store) => store);
suiteOnFake('a strict S3, the whole bucket, through retry', '', (store) => withRetry(store, patient));
