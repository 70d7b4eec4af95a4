import { randomBytes } from 'node:crypto';
import { systemClock } from '../../src/base/clock.ts';
import { gcsRemover } from '../../src/store/gcs-remove.ts';
import { gcsStore, type GcsStoreSettings } from '../../src/store/gcs.ts';
import { retryPolicy } from '../../src/store/retry.ts';
import type { Store } from '../../src/store/store.ts';
import { withRetry } from '../../src/store/with-retry.ts';
import { withVersions } from '../../src/store/with-versions.ts';
import { refusal } from '../support/fake-gcs-messages.ts';
import type { FakeGcsBucket, FakeGcsBucketOptions } from '../support/fake-gcs-bucket.ts';
import { FakeGcs, type FakeGcsOptions } from '../support/fake-gcs.ts';
import { drops, says } from '../support/fake-s3-faults.ts';
import { lockSuite, type LockableStore } from './lock-suite.ts';
import { storeSuite, type StoreUnderTest } from './store-suite.ts';
import { versionSuite, type VersionedStore } from './version-suite.ts';

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

/** A fake that a suite runs on, and stores in buckets of their own. */
class Setup {
  fake: FakeGcs | undefined;
  readonly options: FakeGcsOptions;

  constructor(options: FakeGcsOptions) {
    this.options = { pageItems: 3, chunkUnit: CHUNK_BYTES, ...options };
  }

  readonly start = async (): Promise<void> => {
    this.fake = await FakeGcs.start(this.options);
  };

  readonly stop = async (): Promise<void> => this.fake?.[Symbol.asyncDispose]();

  bucket(options: FakeGcsBucketOptions): { bucket: FakeGcsBucket; settings: GcsStoreSettings } {
    if (this.fake === undefined) throw new Error('the fake was not started');
    const bucket = this.fake.makeBucket(`b-${randomBytes(8).toString('hex')}`, options);
    const policy = retryPolicy({ ...pace, tries: 1 });
    const { endpoint } = this.fake;
    return {
      bucket,
      settings: { bucket: bucket.name, prefix: 'some/prefix', endpoint, policy, chunkBytes: CHUNK_BYTES },
    };
  }
}

function locksOnFake(title: string, options: FakeGcsOptions, decorate: (store: Store) => Store): void {
  const setup = new Setup(options);
  // eslint-disable-next-line typescript/require-await -- other stores have to wait
  const makeStore = async (): Promise<LockableStore> => {
    const { settings } = setup.bucket({ objectRetention: true });
    const [store, remover] = [gcsStore(settings), gcsRemover(settings)];
    const dispose = async (): Promise<void> => {
      await Promise.all([store.close(), remover.close()]);
    };
    return { store: decorate(store), remover, dispose };
  };
  lockSuite(title, makeStore, { severalPartsBytes: 5 * CHUNK_BYTES + 1, start: setup.start, stop: setup.stop });
}

const asItIs = (store: Store): Store => store;
const retrying = (store: Store): Store => withRetry(store, patient);
locksOnFake('a strict GCS', {}, asItIs);
locksOnFake(
  'a GCS that drops locks asked for with the object, through retry',
  { ignores: ['early-retention'] },
  retrying,
);
locksOnFake('a GCS whose clock is an hour ahead', { now: () => Date.now() + 3_600_000 }, asItIs);

function versionsOnFake(title: string, pageItems: number, decorate: (store: Store) => Store): void {
  const setup = new Setup({ pageItems });
  // eslint-disable-next-line typescript/require-await -- other stores have to wait
  const makeStore = async (): Promise<VersionedStore> => {
    const { bucket, settings } = setup.bucket({ versioning: true });
    const store = gcsStore(settings);
    const name = (key: string): string => `some/prefix/${key}`;
    return {
      store: decorate(store),
      overwrite: (key, bytes) => Promise.resolve(String(bucket.add(name(key), bytes).generation)),
      // What is not there cannot be reserved.
      hide: (key) => Promise.resolve(bucket.live(name(key)) && bucket.remove(name(key), null)),
      dispose: () => store.close(),
    };
  };
  versionSuite(title, makeStore, { markers: false, start: setup.start, stop: setup.stop });
}

versionsOnFake('a strict GCS with small pages', 3, asItIs);
versionsOnFake('a strict GCS with pages of one entry, through retry', 1, retrying);
versionsOnFake('a strict GCS with large pages', 1000, asItIs);
