import { randomBytes } from 'node:crypto';
import { systemClock } from '../../src/base/clock.ts';
import { retryPolicy } from '../../src/store/retry.ts';
import { s3Remover } from '../../src/store/s3-remove.ts';
import { s3Store, type S3StoreSettings } from '../../src/store/s3.ts';
import type { Store } from '../../src/store/store.ts';
import { withRetry } from '../../src/store/with-retry.ts';
import { withVersions, type VersionOptions } from '../../src/store/with-versions.ts';
import type { FakeBucketOptions } from '../support/fake-s3-bucket.ts';
import { FakeS3, type FakeS3Options } from '../support/fake-s3.ts';
import { lockSuite, type LockableStore } from './lock-suite.ts';
import { oldestSuite } from './oldest-suite.ts';
import { storeSuite, type StoreUnderTest } from './store-suite.ts';
import { versionSuite, type VersionedStore } from './version-suite.ts';

/** Small pages and parts, so that every test crosses their edges. */
const PART_BYTES = 100_000;
const clock = { clock: systemClock, random: Math.random, requestTimeoutMs: 10_000 };
const patient = retryPolicy(clock);

function settingsOn(fake: FakeS3, bucket: string, prefix: string): S3StoreSettings {
  const keys = { accessKeyId: fake.accessKey, secretAccessKey: fake.secretKey };
  return {
    bucket,
    prefix,
    endpoint: fake.endpoint,
    region: fake.region,
    pathStyle: true,
    policy: retryPolicy({ ...clock, tries: 1 }),
    partBytes: PART_BYTES,
    credentials: () => Promise.resolve(keys),
  };
}

interface FakePlace {
  prefix: string;
  bucket?: FakeBucketOptions;
}

function suiteOnFake(title: string, place: FakePlace, decorate: (store: Store) => Store): void {
  let fake: FakeS3 | undefined;
  const makeStore = async (): Promise<StoreUnderTest> => {
    if (fake === undefined) throw new Error('the fake was not started');
    const bucket = randomBytes(8).toString('hex');
    fake.makeBucket(bucket, place.bucket);
    const store = await s3Store(settingsOn(fake, bucket, place.prefix));
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

function oldest(options: VersionOptions): (store: Store) => Store {
  return (store) => {
    const { versions, ...rest } = withRetry(store, patient);
    if (versions === undefined) throw new Error('S3 keeps versions');
    return withVersions({ ...rest, versions }, options);
  };
}

suiteOnFake('a strict S3', { prefix: 'some/prefix' }, (store) => store);
suiteOnFake('a strict S3, the whole bucket, through retry', { prefix: '' }, (store) => withRetry(store, patient));
suiteOnFake('a strict S3, read by the oldest version', { prefix: 'some/prefix' }, oldest({}));
suiteOnFake(
  'a strict S3 without versioning, read by the oldest version',
  { prefix: '', bucket: { versioning: 'off' } },
  oldest({}),
);
suiteOnFake('a strict S3, as of a moment', { prefix: 'some/prefix' }, oldest({ asOf: new Date(8e15) }));

/** Starts and stops the fake that a suite runs on. */
function fakeFor(options: FakeS3Options): { get: () => FakeS3; start: () => Promise<void>; stop: () => Promise<void> } {
  let fake: FakeS3 | undefined;
  return {
    get() {
      if (fake === undefined) throw new Error('the fake was not started');
      return fake;
    },
    start: async () => {
      fake = await FakeS3.start({ pageKeys: 3, leastPartBytes: PART_BYTES, ...options });
    },
    stop: async () => fake?.[Symbol.asyncDispose](),
  };
}

function locksOnFake(title: string, options: FakeS3Options, decorate: (store: Store) => Store): void {
  const { get, start, stop } = fakeFor(options);
  const makeStore = async (): Promise<LockableStore> => {
    const bucket = randomBytes(8).toString('hex');
    get().makeBucket(bucket, { lock: {} });
    const settings = settingsOn(get(), bucket, 'some/prefix');
    const store = await s3Store(settings);
    const remover = await s3Remover(settings);
    const dispose = async (): Promise<void> => {
      await Promise.all([store.close(), remover.close()]);
    };
    return { store: decorate(store), remover, dispose };
  };
  lockSuite(title, makeStore, { severalPartsBytes: 5 * PART_BYTES + 1, start, stop });
}

const asItIs = (store: Store): Store => store;
const retrying = (store: Store): Store => withRetry(store, patient);
locksOnFake('a strict S3', {}, asItIs);
locksOnFake('a strict S3, through retry', {}, retrying);
locksOnFake(
  'an S3 that drops the locks of uploads in parts, as radosgw 16 does',
  { ignores: ['locks-of-streams'] },
  asItIs,
);
locksOnFake('an S3 that drops locks asked for with the object', { ignores: ['locks'] }, retrying);
locksOnFake('an S3 whose clock is 40 minutes ahead', { skewMs: 40 * 60_000 }, asItIs);

function versionsOnFake(title: string, options: FakeS3Options, decorate: (store: Store) => Store): void {
  const { get, start, stop } = fakeFor(options);
  const makeStore = async (): Promise<VersionedStore> => {
    const name = randomBytes(8).toString('hex');
    const bucket = get().makeBucket(name);
    const store = await s3Store(settingsOn(get(), name, 'some/prefix'));
    return {
      store: decorate(store),
      overwrite: (key, bytes) => Promise.resolve(bucket.add(`some/prefix/${key}`, bytes).id),
      hide: (key) => Promise.resolve(void bucket.hide(`some/prefix/${key}`)),
      dispose: () => store.close(),
    };
  };
  versionSuite(title, makeStore, { markers: true, start, stop });
  oldestSuite(title, makeStore, { markers: true, start, stop });
}

versionsOnFake('a strict S3 with small pages', { pageKeys: 3 }, asItIs);
versionsOnFake('a strict S3 with pages of one entry, through retry', { pageKeys: 1 }, retrying);
versionsOnFake('a strict S3 with large pages', { pageKeys: 1000 }, asItIs);
versionsOnFake('an S3 whose pages overlap, as those of versitygw do', { ignores: ['version-markers'] }, asItIs);
