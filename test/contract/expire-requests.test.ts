/** How many requests deleting takes of a bucket, and that each answer within them is read. */
import { ListObjectVersionsCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { formatIdentity } from '../../src/repository/identity.ts';
import { IDENTITY_KEY } from '../../src/repository/layout.ts';
import type { ExpireJson } from '../../src/commands/expire/expire-output.ts';
import { retryPolicy } from '../../src/store/retry.ts';
import { s3Remover } from '../../src/store/s3-remove.ts';
import type { ObjectVersion, RemovingStore } from '../../src/store/store.ts';
import { adminClient } from '../support/bucket.ts';
import { callCompanion, jsonOf } from '../support/companion-call.ts';
import type { FakeBucket } from '../support/fake-s3-bucket.ts';
import { answers, errorInside200, losesAnswer } from '../support/fake-s3-faults.ts';
import { FakeS3 } from '../support/fake-s3.ts';
import { SYSTEM_ID, walObject } from '../support/file-repository.ts';
import { nameOf } from '../support/made-segments.ts';
import { s3ServerKinds, startMinio } from '../support/s3-server.ts';
import { inSegment, putBackup } from '../support/stored-backup.ts';

const BUCKET = 'expiring';
const DAY = 86_400_000;
const { signal } = new AbortController();

afterEach(() => void vi.unstubAllEnvs());

function useKeys(fake: FakeS3, accessKey = fake.accessKey): void {
  vi.stubEnv('AWS_ACCESS_KEY_ID', accessKey);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', fake.secretKey);
}

describe('expire of many objects', () => {
  /** Segments of 1 MiB: three logs. */
  const SEGMENTS = 10_000;

  it('takes a request for hundreds of them', async () => {
    await using fake = await FakeS3.start();
    useKeys(fake);
    const bucket = fake.makeBucket(BUCKET, { lock: {} });
    await putRepository(bucket, SEGMENTS);
    const flags = ['--repo', `s3://${BUCKET}/main`, '--s3-endpoint', fake.endpoint, '--s3-region', fake.region];
    const argv = ['expire', '--json', '--retention-full', '1', '--jobs', '2', '--s3-path-style', 'on', ...flags];
    const expired = await callCompanion(argv);
    expect(expired).toMatchObject({ status: 0, stderr: '' });
    const { removed, skipped } = jsonOf<ExpireJson>(expired);
    expect(removed.filter((key) => key.startsWith('wal/'))).toHaveLength(SEGMENTS);
    expect(skipped).toEqual([]);
    const count = (operation: string): number => fake.requests.filter((one) => one === operation).length;
    // The backup's record goes by itself, before all else.
    expect(count('DeleteObject')).toBe(1);
    expect(count('DeleteObjects')).toBeLessThan(30);
    // Listings have 1000 names at most: what is there, its versions before, and after.
    expect(fake.requests.length).toBeLessThan(120);
    const left = [...bucket.versions.keys()].filter((key) => key.startsWith('main/wal/'));
    expect(left).toEqual([0, 1, 2].map((n) => `main/${walObject(nameOf(SEGMENTS + n), 'x').key}`));
  });
});

/** An old backup, the newest, and the WAL from the old one on; so many segments of it are older than the newest. */
async function putRepository(bucket: FakeBucket, segments: number): Promise<void> {
  const put = (key: string, bytes: Uint8Array | string): Promise<void> => {
    bucket.add(`main/${key}`, Buffer.from(bytes), { storedAt: new Date(Date.now() - 30 * DAY) });
    return Promise.resolve();
  };
  await put(
    IDENTITY_KEY,
    formatIdentity({ format: 1, systemId: SYSTEM_ID, createdAt: '2026-01-01T00:00:00.000Z', by: 'a test' }),
  );
  for (let segno = 0; segno < segments + 3; segno += 1) {
    const { key, bytes } = walObject(nameOf(segno), 'x');
    await put(key, bytes);
  }
  for (const [id, segno] of [
    ['20260101T000000Z-full', 1],
    ['20260601T000000Z-full', segments],
  ] as const) {
    const stoppedAt = `${id.slice(0, 4)}-${id.slice(4, 6)}-01T00:01:00Z`;
    await putBackup({ put }, { id, startLsn: inSegment(segno), stopLsn: inSegment(segno + 1, 400), stoppedAt });
  }
}

describe('removing many versions by one request', () => {
  const keys = ['a/1', 'a/2', 'a/3'];

  async function withObjects(
    run: (world: {
      fake: FakeS3;
      bucket: FakeBucket;
      remover: RemovingStore;
      objects: ObjectVersion[];
    }) => Promise<void>,
    accessKey?: string,
  ): Promise<void> {
    await using fake = await FakeS3.start();
    useKeys(fake, accessKey);
    const bucket = fake.makeBucket(BUCKET, { lock: {} });
    const objects = keys.map((key) => ({ key, version: bucket.add(`main/${key}`, Buffer.from(key)).id }));
    const policy = retryPolicy({
      clock: systemClock,
      random: Math.random,
      requestTimeoutMs: 5000,
      longestPauseMs: 5,
      tries: 3,
    });
    const place = { scheme: 's3' as const, bucket: BUCKET, prefix: 'main', endpoint: fake.endpoint, pathStyle: true };
    if (accessKey !== undefined) fake.addKey(accessKey, ['s3:DeleteObject', 's3:ListBucket']);
    const remover = await s3Remover({ ...place, region: fake.region, policy });
    try {
      await run({ fake, bucket, remover, objects });
      expect(fake.allFaultsMet).toBe(true);
    } finally {
      await remover.close();
    }
  }
  const left = (bucket: FakeBucket): string[] => [...bucket.versions.keys()].map((key) => key.slice('main/'.length));

  it('answers for each of them', async () => {
    await withObjects(async ({ fake, bucket, remover, objects }) => {
      const locked = bucket.version('main/a/2', objects[1]?.version ?? '');
      if (locked !== undefined) locked.retention = { mode: 'COMPLIANCE', until: new Date(Date.now() + DAY) };
      expect(await remover.removeMany?.(objects, { signal })).toEqual([true, false, true]);
      expect(left(bucket)).toEqual(['a/2']);
      expect(fake.requests).toEqual(['DeleteObjects']);
    });
  });

  it('takes what is gone already for gone', async () => {
    await withObjects(async ({ bucket, remover, objects }) => {
      bucket.remove('main/a/1', objects[0]?.version ?? '');
      expect(await remover.removeMany?.(objects, { signal })).toEqual([true, true, true]);
    });
  });

  it('asks again when the answer is lost, or is an error inside a success', async () => {
    await withObjects(async ({ fake, bucket, remover, objects }) => {
      fake.fail(losesAnswer, { operation: 'DeleteObjects' });
      fake.fail(errorInside200('InternalError'), { operation: 'DeleteObjects' });
      expect(await remover.removeMany?.(objects, { signal })).toEqual([true, true, true]);
      expect(left(bucket)).toEqual([]);
    });
  });

  it('is not asked of a server again that has refused it as a whole', async () => {
    await withObjects(async ({ fake, bucket, remover, objects }) => {
      fake.fail(answers(501, 'NotImplemented'), { operation: 'DeleteObjects' });
      for (let time = 0; time < 2; time += 1)
        expect(await remover.removeMany?.(objects, { signal })).toEqual([false, false, false]);
      expect(fake.requests).toEqual(['DeleteObjects']);
      expect(left(bucket)).toEqual(keys);
    });
  });

  it.skipIf(!s3ServerKinds().includes('minio'))('is understood by MinIO', async () => {
    await using server = await startMinio();
    await server.makeBucket(BUCKET, { objectLock: true });
    vi.stubEnv('AWS_ACCESS_KEY_ID', server.accessKey);
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', server.secretKey);
    const admin = adminClient(server);
    const locked = { ObjectLockMode: 'COMPLIANCE', ObjectLockRetainUntilDate: new Date(Date.now() + DAY) } as const;
    const objects: ObjectVersion[] = [];
    for (const key of keys) {
      const put = { Bucket: BUCKET, Key: `main/${key}`, Body: key, ChecksumAlgorithm: 'CRC32C' } as const;
      const { VersionId = '' } = await admin.send(new PutObjectCommand({ ...put, ...(key === 'a/2' ? locked : {}) }));
      objects.push({ key, version: VersionId });
    }
    const { endpoint, region } = server;
    const policy = retryPolicy({ clock: systemClock, random: Math.random, requestTimeoutMs: 5000 });
    const remover = await s3Remover({
      bucket: BUCKET,
      prefix: 'main',
      endpoint,
      region,
      pathStyle: true,
      policy,
    });
    expect(await remover.removeMany?.(objects, { signal })).toEqual([true, false, true]);
    const { Versions = [] } = await admin.send(new ListObjectVersionsCommand({ Bucket: BUCKET }));
    expect(Versions.map(({ Key }) => Key)).toEqual(['main/a/2']);
    await remover.close();
    admin.destroy();
  });

  it('says of none that it is gone to who may not', async () => {
    await withObjects(async ({ bucket, remover, objects }) => {
      expect(await remover.removeMany?.(objects, { signal })).toEqual([false, false, false]);
      expect(left(bucket)).toEqual(keys);
    }, 'weak');
  });
});
