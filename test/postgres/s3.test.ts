import { ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import { describe, expect, test } from 'vitest';
import { archivedCluster, backUp, restored, type Archived } from '../support/archived-cluster.ts';
import { archiveEverything, failedPushes, switchWal } from '../support/archiving.ts';
import { adminClient } from '../support/bucket.ts';
import { LONG } from '../support/effort.ts';
import { answers, asUsual, cutsBody, drops, hangs, losesAnswer, type Fault } from '../support/fake-s3-faults.ts';
import { FakeS3 } from '../support/fake-s3.ts';
import { startLoad, type LoadReport } from '../support/load.ts';
import { EVERYTHING, judgeRows } from '../support/recovered-rows.ts';
import { archivingToS3 } from '../support/s3-cluster.ts';
import { s3ServerKinds, startVersitygw, type S3Access, type S3Server } from '../support/s3-server.ts';
import { grant, makeUser } from '../support/s3-users.ts';
import { waitFor } from '../support/wait-for.ts';

const LOAD = { clients: 2, payloadBytes: 1000, pauseMs: 5 };

describe.skipIf(!s3ServerKinds().includes('versitygw'))('a cluster that archives to S3', () => {
  test('comes back though the server was away and silent meanwhile, by keys that cannot delete', async () => {
    await using server = await startVersitygw();
    await server.makeBucket('bucket', { versioning: true });
    const { walhold, env } = archivingToS3(await archiverOf(server, 'bucket'), 'bucket');
    const patience = { request_timeout: '1s', push_timeout: '3s' };
    await using original = await archivedCluster({ walhold: { ...walhold, ...patience }, env });
    const { cluster, config } = original;
    await cluster.start();
    await using load = await startLoad(cluster, LOAD);
    await archiveEverything(cluster);
    await backUp(cluster, config);

    await server.stop();
    await oneMoreFailure(original);
    await server.start();
    await archiveEverything(cluster);
    server.pause();
    await oneMoreFailure(original);
    server.resume();
    await archiveEverything(cluster);

    const rows = await load.stop();
    await archiveEverything(cluster);
    await cluster.kill9();
    await expectEveryRow(original, rows);
    const versions = await versionsByKey(server, 'bucket');
    expect(versions.size).toBeGreaterThan(8);
    expect([...versions].filter(([, count]) => count !== 1)).toEqual([]);
  });
});

describe('a cluster that archives to an S3 which fails every few requests', () => {
  test.each(LONG ? [1, 2, 3, 4, 5, 6, 7, 8] : [1])('is backed up and comes back whole (seed %i)', async (seed) => {
    await using fake = await FakeS3.start();
    const bucket = fake.makeBucket('bucket');
    const { walhold, env } = archivingToS3(fake, 'bucket');
    await using original = await archivedCluster({ walhold: { ...walhold, request_timeout: '2s' }, env });
    const { cluster, config } = original;
    const met = failNowAndThen(fake, seed);
    await cluster.start();
    await using load = await startLoad(cluster, LOAD);
    await archiveEverything(cluster, 120_000);
    await backUp(cluster, config);
    await archiveEverything(cluster, 120_000);
    const rows = await load.stop();
    await archiveEverything(cluster, 120_000);
    await cluster.kill9();
    await expectEveryRow(original, rows);
    expect(met()).toEqual(expect.arrayContaining(['storing WAL: losesAnswer', 'storing other: losesAnswer', 'reading WAL: cutsBody'])); // prettier-ignore
    expect([...bucket.versions].filter(([, versions]) => versions.length !== 1)).toEqual([]);
  });
});

/** Keys that may put and read, and neither overwrite knowingly nor delete. */
async function archiverOf(server: S3Server, bucket: string): Promise<S3Access> {
  const archiver = await makeUser(server, 'archiver');
  const all = `arn:aws:s3:::${bucket}`;
  const write = ['s3:PutObject', 's3:GetObject', 's3:AbortMultipartUpload', 's3:ListMultipartUploadParts'];
  const look = ['s3:ListBucket', 's3:GetBucketVersioning', 's3:GetBucketObjectLockConfiguration'];
  await grant(server, bucket, {
    archiver: [
      { Effect: 'Allow', Action: write, Resource: `${all}/cluster/*` },
      { Effect: 'Allow', Action: look, Resource: all },
    ],
  });
  return archiver;
}

/** Waits until a push has failed that began after this was called; the load goes on. */
async function oneMoreFailure({ cluster }: Archived): Promise<void> {
  const before = await failedPushes(cluster);
  await switchWal(cluster);
  await waitFor(async () => (await failedPushes(cluster)) > before, { what: 'a push to fail' });
}

async function expectEveryRow({ cluster, config }: Archived, rows: LoadReport): Promise<void> {
  await using back = await restored(cluster, config);
  await back.start();
  await back.waitUntilPromoted();
  const { found, ...faults } = await judgeRows(back, rows, EVERYTHING);
  expect(faults).toEqual({ missing: [], surplus: [], unknown: [], altered: [], undecided: 0 });
  expect(found).toBe(rows.committed.length);
}

/** How many versions and delete markers each key has. */
async function versionsByKey(server: S3Server, bucket: string): Promise<Map<string, number>> {
  const client = adminClient(server);
  try {
    const counts = new Map<string, number>();
    const {
      Versions = [],
      DeleteMarkers = [],
      IsTruncated,
    } = await client.send(new ListObjectVersionsCommand({ Bucket: bucket }));
    expect(IsTruncated).not.toBe(true);
    for (const { Key = '' } of [...Versions, ...DeleteMarkers]) counts.set(Key, (counts.get(Key) ?? 0) + 1);
    return counts;
  } finally {
    client.destroy();
  }
}

const BUSY = answers(503, 'SlowDown');
const FAILS = answers(500, 'InternalError');

/** Those that leave more behind than they say come more often. */
const FAULTS: Readonly<Record<'storing' | 'reading', Record<string, Fault>[]>> = {
  storing: [
    { losesAnswer },
    { drops },
    { losesAnswer },
    { BUSY },
    { losesAnswer },
    { FAILS },
    { losesAnswer },
    { hangs },
  ],
  reading: [{ drops }, { cutsBody: cutsBody(100) }, { BUSY }, { FAILS }, { hangs }],
};

/** Every third request to store WAL meets a fault, so does every third to store anything else, and to read. */
function failNowAndThen(fake: FakeS3, seed: number): () => string[] {
  const counts = new Map<string, number>();
  const met = new Set<string>();
  const sometimes: Fault = async (request, carryOut, response) => {
    const kind = request.method === 'GET' || request.method === 'HEAD' ? 'reading' : 'storing';
    const what = `${kind} ${request.key.includes('/wal/') ? 'WAL' : 'other'}`;
    const count = (counts.get(what) ?? 0) + 1;
    counts.set(what, count);
    const faults = FAULTS[kind].flatMap((one) => Object.entries(one));
    const [name, fault] = faults[(Math.floor(count / 3) + seed) % faults.length] ?? ['none', asUsual];
    if (count % 3 !== 0) return await asUsual(request, carryOut, response);
    met.add(`${what}: ${name}`);
    await fault(request, carryOut, response);
  };
  fake.fail(sometimes, { times: Number.POSITIVE_INFINITY });
  return () => [...met];
}
