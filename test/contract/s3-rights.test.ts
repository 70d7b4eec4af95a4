/** On real servers: that no right to delete, to overwrite or to bypass is needed, and that no wrong configuration passes for a lock. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { retryPolicy, type RetryPolicy } from '../../src/store/retry.ts';
import type { S3Credentials } from '../../src/store/s3-client.ts';
import { s3Remover } from '../../src/store/s3-remove.ts';
import { s3Store, type S3StoreSettings } from '../../src/store/s3.ts';
import type { LockRequest, Store } from '../../src/store/store.ts';
import { withRetry } from '../../src/store/with-retry.ts';
import type { BucketOptions } from '../support/bucket.ts';
import { patternBytes } from '../support/bytes.ts';
import { s3ServerKinds, startS3Server, type S3Server } from '../support/s3-server.ts';
import { sessionFor } from '../support/s3-users.ts';
import { lockSuite } from './lock-suite.ts';
import { storeSuite } from './store-suite.ts';

const { signal } = new AbortController();
const MIB = 1024 * 1024;
const HOUR = 3_600_000;
const DAYS_2 = 48 * HOUR;

/** Writes, reads what it wrote, and locks it. */
const ARCHIVER = ['s3:PutObject', 's3:GetObject', 's3:ListBucket', 's3:PutObjectRetention', 's3:GetObjectRetention'];
const LOCKER = [
  ...ARCHIVER,
  's3:GetObjectVersion',
  's3:GetObjectLegalHold',
  's3:PutObjectLegalHold',
  's3:GetBucketObjectLockConfiguration',
];

const policyOf = (tries?: number): RetryPolicy =>
  retryPolicy({
    clock: systemClock,
    random: Math.random,
    requestTimeoutMs: 20_000,
    ...(tries === undefined ? {} : { tries }),
  });

function settingsOn(server: S3Server, bucket: string, credentials?: S3Credentials): S3StoreSettings {
  const { endpoint, region, accessKey, secretKey } = server;
  return {
    bucket,
    prefix: randomBytes(8).toString('hex'),
    endpoint,
    region,
    pathStyle: true,
    policy: policyOf(1),
    partBytes: 5 * MIB,
    credentials: credentials ?? (() => Promise.resolve({ accessKeyId: accessKey, secretAccessKey: secretKey })),
  };
}

const WITHOUT_LOCK = /Bucket is missing Object ?Lock ?Configuration/;
const BY_BUCKET: LockRequest = { mode: 'bucket', periodMs: DAYS_2 };
const WRONG: [string, BucketOptions, LockRequest, RegExp, RegExp][] = [
  ['no versions', {}, { mode: 'governance', periodMs: HOUR }, WITHOUT_LOCK, /put-bucket-versioning/],
  ['no locks', { versioning: true }, { mode: 'compliance', periodMs: HOUR }, WITHOUT_LOCK, /ObjectLockEnabled=Enabled/],
  ['no locks by default', { versioning: true }, BY_BUCKET, /cannot lock objects/, /ObjectLockEnabled=Enabled/],
  ['no default', { objectLock: true }, BY_BUCKET, /no default retention/, /"Mode":"GOVERNANCE","Days":2/],
  [
    'a default too short',
    { objectLock: { mode: 'COMPLIANCE', days: 1 } },
    BY_BUCKET,
    /default retention is 1 day in compliance mode, lock_period is 2 days/,
    /"Mode":"COMPLIANCE","Days":2/,
  ],
];

const kinds = s3ServerKinds();
describe.skipIf(!kinds.includes('minio'))('MinIO, for credentials that can neither delete nor bypass', () => {
  const bucket = `rights-${randomBytes(8).toString('hex')}`;
  let server: S3Server | undefined;
  const running = (): S3Server => {
    if (server === undefined) throw new Error('the server was not started');
    return server;
  };
  beforeAll(async () => {
    server = await startS3Server('minio');
    await server.makeBucket(bucket, { objectLock: true });
  });
  afterAll(async () => server?.[Symbol.asyncDispose]());

  storeSuite(
    'a store',
    async () => {
      const store = await s3Store(settingsOn(running(), bucket, await sessionFor(running(), bucket, ARCHIVER)));
      return { store: withRetry(store, policyOf()), dispose: () => store.close() };
    },
    { severalPartsBytes: 12 * MIB + 1 },
  );

  lockSuite(
    'a store',
    async () => {
      const place = settingsOn(running(), bucket, await sessionFor(running(), bucket, LOCKER));
      const store = await s3Store(place);
      const remover = await s3Remover({ ...settingsOn(running(), bucket), prefix: place.prefix });
      const dispose = async (): Promise<void> => {
        await Promise.all([store.close(), remover.close()]);
      };
      return { store, remover, dispose };
    },
    { severalPartsBytes: 12 * MIB + 1 },
  );

  it('refuses them to delete, to bypass and to shorten, as a probe finds', async () => {
    const place = settingsOn(running(), bucket, await sessionFor(running(), bucket, LOCKER));
    const store = await s3Store(place);
    await create(store, 'k', { mode: 'governance', periodMs: HOUR });
    expect(await store.probe?.remove?.('k', { signal })).toEqual({ name: 'refused', version: 'refused' });
    const remover = await s3Remover(place);
    const version = (await store.stat('k', { signal }))?.version;
    await expect(remover.remove('k', { signal, version })).rejects.toMatchObject({
      code: 'denied',
      detail: expect.stringContaining('locked in governance mode until') as string,
    });
    await expect(remover.hide?.('k', { signal })).rejects.toMatchObject({ code: 'denied' });
    await Promise.all([store.close(), remover.close()]);
  });

  it.each([
    ['set', 's3:PutObjectRetention', 'denied', /s3:PutObjectRetention.*lock_mode = bucket/],
    ['see', 's3:GetObjectRetention', 'unlocked', /s3:GetObjectRetention/],
  ])('does not take an object for locked without the right to %s locks', async (_, right, code, hint) => {
    const allowed = LOCKER.filter((one) => one !== right);
    const store = await s3Store(settingsOn(running(), bucket, await sessionFor(running(), bucket, allowed)));
    const creating = create(store, 'k', { mode: 'governance', periodMs: HOUR });
    await expect(creating).rejects.toMatchObject({ code, hint: expect.stringMatching(hint) as string });
    await store.close();
  });

  it('says what may not be seen of a bucket', async () => {
    const store = await s3Store(settingsOn(running(), bucket, await sessionFor(running(), bucket, ARCHIVER)));
    const facts = await store.locks?.bucket({ signal });
    expect(facts).toMatchObject({ versioning: undefined, lockable: undefined });
    expect(facts?.why.join(' ')).toMatch(/s3:GetBucketVersioning.*s3:GetBucketObjectLockConfiguration/);
    await store.close();
  });
});

const ours = kinds.filter((kind) => kind !== 'external');
describe.skipIf(ours.length === 0)('a bucket that cannot lock as it is asked to', () => {
  it.each(
    ours.flatMap((kind) =>
      WRONG.map(([title, bucket, lock, detail, hint]) => ({ kind, title, bucket, lock, detail, hint })),
    ),
  )('on $kind is noticed at the first object: $title', async ({ kind, bucket, lock, detail, hint }) => {
    await using server = await startS3Server(kind);
    await server.makeBucket('wrong', bucket);
    const store = await s3Store(settingsOn(server, 'wrong'));
    await expect(create(store, 'k', lock)).rejects.toMatchObject({
      code: 'unlocked',
      detail: expect.stringMatching(detail) as string,
      hint: expect.stringMatching(hint) as string,
    });
    await store.close();
  });

  // versitygw keeps its default from being deleted too, but shows no lock on the object, and what is not shown is not believed.
  it.each(ours)('on %s tells what it has by default, and is believed when the object shows it', async (kind) => {
    await using server = await startS3Server(kind);
    await server.makeBucket('right', { objectLock: { mode: 'GOVERNANCE', days: 2 } });
    const store = await s3Store(settingsOn(server, 'right'));
    expect(await store.locks?.bucket({ signal })).toMatchObject({
      versioning: 'on',
      lockable: true,
      defaultRetention: { mode: 'governance', periodMs: DAYS_2 },
    });
    if (kind === 'versitygw') {
      await expect(create(store, 'k', BY_BUCKET)).rejects.toMatchObject({
        code: 'unlocked',
        detail: expect.stringContaining('default retention is 2 days') as string,
        hint: expect.stringContaining('lock_mode = governance') as string,
      });
    } else {
      await create(store, 'k', BY_BUCKET);
      expect((await store.locks?.look('k', { signal }))?.retention?.mode).toBe('governance');
    }
    expect(Math.abs(store.clockSkewMs?.() ?? Infinity)).toBeLessThan(5000);
    await store.close();
  });
});

async function create(store: Store, key: string, lock: LockRequest): Promise<void> {
  const body = { kind: 'buffer' as const, bytes: patternBytes(1000) };
  expect(await store.create(key, body, { signal, lock })).toBe('created');
}
