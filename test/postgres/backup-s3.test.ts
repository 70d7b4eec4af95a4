import { describe, expect, test } from 'vitest';
import { archivedCluster, backUp, restored, walhold, walholdOk, type Archived } from '../support/archived-cluster.ts';
import { archiveEverything } from '../support/archiving.ts';
import { answers, drops, losesAnswer } from '../support/fake-s3-faults.ts';
import { FakeS3 } from '../support/fake-s3.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { archivingToS3 } from '../support/s3-cluster.ts';

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
async function archivedToFake(fake: FakeS3): Promise<Archived> {
  fake.makeBucket('bucket');
  const { walhold: settings, env } = archivingToS3(fake, 'bucket');
  const archived = await archivedCluster({ segmentMb: 16, env, walhold: { ...settings, request_timeout: '5s' } });
  await archived.cluster.start();
  return archived;
}
