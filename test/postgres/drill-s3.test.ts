import {
  DeleteObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { describe, expect, test } from 'vitest';
import type { ListJson } from '../../src/commands/list.ts';
import type { VerifyJson } from '../../src/commands/verify.ts';
import { archivedCluster, backUp, walhold } from '../support/archived-cluster.ts';
import { archiveEverything } from '../support/archiving.ts';
import { drill } from '../support/drill.ts';
import { archivingToS3 } from '../support/s3-cluster.ts';
import { s3ServerKinds, startMinio } from '../support/s3-server.ts';

describe.skipIf(!s3ServerKinds().includes('minio'))('a drill of what lies locked in a bucket', () => {
  test('takes what was stored first, and its own result is locked, too', async () => {
    await using server = await startMinio();
    const bucket = `drill-${Date.now()}`;
    await server.makeBucket(bucket, { objectLock: true });
    const { walhold: settings, env } = archivingToS3(server, bucket);
    const locks = { lock_mode: 'governance', lock_period: '1h', lock_max: '2h' };
    await using archived = await archivedCluster({ walhold: { ...settings, ...locks }, env });
    const { cluster, config } = archived;
    await cluster.start();
    await cluster.query('create table t as select 1 as i');
    const id = await backUp(cluster, config);
    await cluster.query('insert into t values (2)');
    const segment = await archiveEverything(cluster);
    const json = async <T>(...argv: string[]): Promise<T> =>
      JSON.parse((await walhold(cluster, config, [...argv, '--json'])).stdout) as T;
    expect(await json<VerifyJson>('verify')).toMatchObject({ ok: true, problems: [] });

    const { endpoint, region, accessKey, secretKey } = server;
    const credentials = { accessKeyId: accessKey, secretAccessKey: secretKey };
    const client = new S3Client({ endpoint, region, credentials, forcePathStyle: true });
    const at = { Bucket: bucket };
    const wal = `cluster/wal/${segment.slice(0, 8)}/${segment.slice(0, 16)}/${segment}.zst`;
    const record = `cluster/backup/${id}/backup.json`;
    await client.send(new PutObjectCommand({ ...at, Key: wal, Body: 'somebody else was here' }));
    await client.send(new DeleteObjectCommand({ ...at, Key: record }));

    const sql = await cluster.place.file('rows.sql', 'select count(*) = 2 from t');
    const result = await drill(archived, ['--sql', sql]);
    expect(result.json).toMatchObject({ ok: true, backup: id, targetReached: true });
    expect(result.status).toBe(0);
    expect((await json<ListJson>('list')).lastProven).toMatchObject({ backup: id, failed: [] });
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ ...at, Prefix: 'cluster/drill/' }));
    expect(Contents).toHaveLength(1);
    const stored = await client.send(new HeadObjectCommand({ ...at, Key: Contents[0]?.Key ?? '' }));
    expect(stored.ObjectLockMode).toBe('GOVERNANCE');
    expect(stored.ObjectLockRetainUntilDate?.getTime()).toBeGreaterThan(result.ended);
    client.destroy();

    const { ok, problems } = await json<VerifyJson>('verify');
    expect(ok).toBe(false);
    expect(problems.map(({ code, object }) => `${code} cluster/${object}`).toSorted()).toEqual([
      `delete-marker ${record}`,
      `extra-version ${wal}`,
    ]);
  });
});
