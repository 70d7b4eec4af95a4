import { randomBytes } from 'node:crypto';
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { retryPolicy, type RetryPolicy } from '../../src/store/retry.ts';
import { s3Remover } from '../../src/store/s3-remove.ts';
import { s3Store, type S3StoreSettings } from '../../src/store/s3.ts';
import type { Store } from '../../src/store/store.ts';
import { withRetry } from '../../src/store/with-retry.ts';
import { adminClient, type BucketOptions } from '../support/bucket.ts';
import { bytesOf, patternBytes } from '../support/bytes.ts';
import { s3ServerKinds, startS3Server, type S3Access, type S3Server, type S3ServerKind } from '../support/s3-server.ts';
import { lockSuite, type LockableStore } from './lock-suite.ts';
import { oldestSuite } from './oldest-suite.ts';
import { storeSuite, type StoreUnderTest } from './store-suite.ts';
import { versionSuite, type VersionedStore } from './version-suite.ts';

const MIB = 1024 * 1024;
/** The condition is looked at before the body arrives, so racing writers can all pass. */
const RACY: Partial<Record<S3ServerKind, string>> = { versitygw: 'versitygw decides before it has the body' };

const policyOf = (tries?: number): RetryPolicy =>
  retryPolicy({
    clock: systemClock,
    random: Math.random,
    requestTimeoutMs: 20_000,
    ...(tries === undefined ? {} : { tries }),
  });

/** In a prefix of its own. */
function storeOn(server: S3Access, bucket: string, policy: RetryPolicy): Promise<Store> {
  return s3Store(settingsOn(server, bucket, policy));
}

function settingsOn(server: S3Access, bucket: string, policy: RetryPolicy): S3StoreSettings {
  const { endpoint, region, accessKey, secretKey } = server;
  const credentials = { accessKeyId: accessKey, secretAccessKey: secretKey };
  return {
    bucket,
    prefix: `deep/${randomBytes(8).toString('hex')}`,
    endpoint,
    region,
    pathStyle: true,
    policy,
    partBytes: 5 * MIB,
    credentials: () => Promise.resolve(credentials),
  };
}

/** A suite on a server of its own, each test in a prefix of its own. */
function suiteOn(
  kind: S3ServerKind,
  title: string,
  bucket: BucketOptions,
  policy: RetryPolicy,
  decorate: (store: Store) => Store,
): void {
  let server: S3Server | undefined;
  const name = `contract-${randomBytes(8).toString('hex')}`;
  const makeStore = async (): Promise<StoreUnderTest> => {
    if (server === undefined) throw new Error('the server was not started');
    const store = await storeOn(server, name, policy);
    return { store: decorate(store), dispose: () => store.close() };
  };
  storeSuite(title, makeStore, {
    severalPartsBytes: 12 * MIB + 1,
    ...(RACY[kind] === undefined ? {} : { racy: RACY[kind] }),
    start: async () => {
      server = await startS3Server(kind);
      await server.makeBucket(name, bucket);
    },
    stop: async () => server?.[Symbol.asyncDispose](),
  });
}

/** Those of locks and of versions, the same way. */
function lockAndVersionSuitesOn(kind: S3ServerKind): void {
  let server: S3Server | undefined;
  const name = `locks-${randomBytes(8).toString('hex')}`;
  const start = async (): Promise<void> => {
    server = await startS3Server(kind);
    await server.makeBucket(name, { objectLock: true });
  };
  const stop = async (): Promise<void> => server?.[Symbol.asyncDispose]();
  const settings = (): S3StoreSettings => {
    if (server === undefined) throw new Error('the server was not started');
    return settingsOn(server, name, policyOf(1));
  };
  const lockable = async (): Promise<LockableStore> => {
    const place = settings();
    const store = await s3Store(place);
    const remover = await s3Remover(place);
    const dispose = async (): Promise<void> => {
      await Promise.all([store.close(), remover.close()]);
    };
    return { store: withRetry(store, policyOf()), remover, dispose };
  };
  const versioned = async (): Promise<VersionedStore> => {
    const place = settings();
    const store = await s3Store(place);
    const client = adminClient(server as S3Server);
    const object = (key: string): { Bucket: string; Key: string } => ({ Bucket: name, Key: `${place.prefix}/${key}` });
    return {
      store,
      async overwrite(key, Body) {
        const { VersionId } = await client.send(new PutObjectCommand({ ...object(key), Body }));
        return VersionId ?? '';
      },
      async hide(key) {
        await client.send(new DeleteObjectCommand(object(key)));
      },
      async dispose() {
        client.destroy();
        await store.close();
      },
    };
  };
  lockSuite(kind, lockable, { severalPartsBytes: 12 * MIB + 1, start, stop });
  versionSuite(kind, versioned, { markers: true, start, stop });
  oldestSuite(kind, versioned, { markers: true, start, stop });
}

const kinds = s3ServerKinds();
describe.skipIf(kinds.length === 0)('S3 over real servers', () => {
  for (const kind of kinds) {
    suiteOn(kind, kind, {}, policyOf(1), (store) => store);
    suiteOn(kind, `${kind}, a versioned bucket with locks, through retry`, { objectLock: true }, policyOf(), (store) =>
      withRetry(store, policyOf()),
    );
    lockAndVersionSuitesOn(kind);
  }
});

const ours = kinds.filter((kind) => kind !== 'external');
describe.skipIf(ours.length === 0)('a server that goes away and comes back', () => {
  const { signal } = new AbortController();
  const quick = retryPolicy({ clock: systemClock, random: Math.random, requestTimeoutMs: 500, tries: 1 });
  const patient = retryPolicy({ clock: systemClock, random: Math.random, requestTimeoutMs: 1000, longestPauseMs: 100 });
  const large = patternBytes(11 * MIB);

  it.each(ours)('%s: is unreachable, and what was under way goes on', async (kind) => {
    await using server = await startS3Server(kind);
    await server.makeBucket('away');
    const once = await storeOn(server, 'away', quick);
    const retrying = withRetry(await storeOn(server, 'away', patient), patient);
    async function* interrupted(): AsyncGenerator<Uint8Array> {
      yield large.subarray(0, 6 * MIB);
      await server.stop();
      setTimeout(() => void server.start(), 500);
      yield large.subarray(6 * MIB);
    }
    expect(await retrying.create('large', { kind: 'stream', chunks: interrupted() }, { signal })).toBe('created');
    expect((await bytesOf((await retrying.open('large', { signal }))?.chunks)).equals(large)).toBe(true);

    server.pause();
    await expect(once.stat('none', { signal })).rejects.toMatchObject({ code: 'unreachable' });
    setTimeout(() => server.resume(), 1500);
    expect(await retrying.stat('none', { signal })).toBeUndefined();
    await Promise.all([once.close(), retrying.close()]);
  });
});
