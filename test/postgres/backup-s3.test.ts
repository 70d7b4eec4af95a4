import { describe, expect, test } from 'vitest';
import { archivedCluster, backUp, restored, walhold, walholdOk, type Archived } from '../support/archived-cluster.ts';
import { archiveEverything } from '../support/archiving.ts';
import type { FakeBucketOptions, FakeVersion } from '../support/fake-s3-bucket.ts';
import { answers, drops, losesAnswer } from '../support/fake-s3-faults.ts';
import { FakeS3 } from '../support/fake-s3.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { archivingToS3 } from '../support/s3-cluster.ts';
import type { Settings } from '../support/server-settings.ts';
import { SlowBackup } from '../support/slow-backup.ts';
import { waitFor } from '../support/wait-for.ts';

describe('a base backup into a bucket', () => {
  test('gets through faults of every request, whole', async () => {
    await using fake = await FakeS3.start();
    await using archived = await archivedToFake(fake);
    const { cluster, config } = archived;
    // Nothing to compress, so that what is stored does not fit into one request.
    await cluster.query(`create table t as select i, sha512(i::text::bytea) as v from generate_series(1, 400000) i`);
    await archiveEverything(cluster);
    for (const operation of ['UploadPart', 'CreateMultipartUpload', 'PutObject', 'CompleteMultipartUpload'] as const) {
      fake.fail(answers(503, 'SlowDown'), { operation });
      fake.fail(drops, { operation });
    }
    fake.fail(losesAnswer, { operation: 'CompleteMultipartUpload' });
    fake.fail(losesAnswer, { operation: 'UploadPart' });
    const id = await backUp(cluster, config, ['-j', '2']);
    expect(fake.allFaultsMet).toBe(true);
    await walholdOk(cluster, config, ['verify']);
    await archiveEverything(cluster);
    const before = await fingerprint(cluster);
    await using copy = await restored(cluster, config, ['--backup', id]);
    await copy.start();
    await copy.waitUntilPromoted();
    expect(await fingerprint(copy)).toEqual(before);
  });

  test('that was killed is gone on with, and its locks are as long as list says', async () => {
    await using fake = await FakeS3.start();
    const settings = { part_size: '1MB', lock_mode: 'governance', lock_period: '1d' };
    await using archived = await archivedToFake(fake, { lock: {} }, settings);
    const { cluster, config } = archived;
    await cluster.query('create table t as select i, md5(i::text) from generate_series(1, 30000) i');
    await using slow = await SlowBackup.start(archived, ['--max-rate', '8M']);
    const versions = fake.buckets.get('bucket')?.versions ?? new Map<string, FakeVersion[]>();
    const parts = (): string[] => [...versions.keys()].filter((key) => /\/part-\d+\.tar\.zst$/.test(key));
    await waitFor(() => parts().length > 4, { what: 'some parts', everyMs: 5 });
    slow.kill('SIGKILL');
    await slow.ended();
    await cluster.query(`update t set md5 = 'new' where i % 3 = 0`);
    const before = parts();

    const flags = ['backup', '-c', 'fast', '--resume', '-d', cluster.connectionString];
    const { stdout, stderr } = await walholdOk(cluster, config, flags);
    const id = stdout.trim();
    expect(stderr).toContain(`going on with backup ${id}`);
    expect(before.every((key) => key.includes(id))).toBe(true);
    const own = [...versions].filter(([key]) => key.includes(id));
    expect(own.every(([, all]) => all.length === 1)).toBe(true);
    const { backups } = JSON.parse((await walholdOk(cluster, config, ['list', '--json'])).stdout) as {
      backups: { lockedUntil: string }[];
    };
    const least = Math.min(...own.map(([, [one]]) => one?.retention?.until.getTime() ?? 0));
    expect(Date.parse(backups[0]?.lockedUntil ?? '')).toBeLessThanOrEqual(least);
    expect(least).toBeGreaterThan(Date.now() + 80_000_000);

    await archiveEverything(cluster);
    const rows = await fingerprint(cluster);
    await using copy = await restored(cluster, config, ['--backup', id]);
    await copy.start();
    await copy.waitUntilPromoted();
    expect(await fingerprint(copy)).toEqual(rows);
  });

  test('is refused where the keys do not let it write', async () => {
    await using fake = await FakeS3.start();
    await using archived = await archivedToFake(fake);
    const { cluster, config } = archived;
    await archiveEverything(cluster);
    fake.fail(answers(403, 'AccessDenied'), { operation: 'PutObject', times: Number.POSITIVE_INFINITY });
    const flags = ['backup', '-c', 'fast', '-d', cluster.connectionString];
    const { status, stdout, stderr } = await walhold(cluster, config, flags);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(/error: could not store s3:\/\/bucket\/cluster\/backup\/\d{8}T\d{6}Z-full\/part-1.tar.zst/);
  });
});

/** A cluster that runs and archives into a bucket. */
async function archivedToFake(fake: FakeS3, bucket: FakeBucketOptions = {}, more: Settings = {}): Promise<Archived> {
  fake.makeBucket('bucket', bucket);
  const { walhold: settings, env } = archivingToS3(fake, 'bucket');
  const own = { ...settings, request_timeout: '5s', ...more };
  const archived = await archivedCluster({ segmentMb: 16, env, walhold: own });
  await archived.cluster.start();
  return archived;
}
