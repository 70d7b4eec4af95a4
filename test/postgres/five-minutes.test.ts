import { DeleteObjectCommand, ListObjectsV2Command, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT } from '../../scripts/build.ts';
import { findPostgres } from '../../scripts/find-postgres.ts';
import { archiveEverything } from '../support/archiving.ts';
import { adminClient } from '../support/bucket.ts';
import { Cluster } from '../support/cluster.ts';
import { blocksFor, textsWithPlaces } from '../support/document-blocks.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { Guide } from '../support/guide.ts';
import { s3ServerKinds, startVersitygw, type S3Access } from '../support/s3-server.ts';
import { grant, makeUser, type PolicyStatement } from '../support/s3-users.ts';
import { waitFor } from '../support/wait-for.ts';

const { hasClients } = await findPostgres();
const possible = hasClients && s3ServerKinds().includes('versitygw');

describe.skipIf(!possible)("README.md's five minutes to production, on S3 with the policies shown", () => {
  test('archives, backs up and restores with what each identity may do, and no more', async () => {
    await using s3 = await startVersitygw();
    await s3.makeBucket('my-bucket', { versioning: true });
    const archiver = await makeUser(s3, 'archiver');
    const restorer = await makeUser(s3, 'restorer');
    await grant(s3, 'my-bucket', { archiver: policy('archiver'), restorer: policy('restorer') });

    await using cluster = await Cluster.create({ name: 'five-minutes', env: environmentFor(archiver) });
    const [settings = ''] = textsWithPlaces(blocksFor(import.meta.url, 'walhold.conf'), { 'eu-central-1': s3.region });
    const config = await cluster.place.file('walhold.conf', settings);
    const guide = new Guide(cluster, '', config);
    await copyFile(join(ROOT, 'postgresql.conf.sample'), join(cluster.place.path, 'postgresql.conf.sample'));
    await cluster.configure({ unix_socket_directories: cluster.socketDir });
    await cluster.start();

    await guide.run(blocksFor(import.meta.url, 'server'));
    await cluster.query('create table orders as select generate_series(1, 5000) as id');
    await guide.run(blocksFor(import.meta.url, 'backup'));
    const before = await fingerprint(cluster);
    const time = await cluster.value<string>('select clock_timestamp()::text');
    // Not a truncate: its lock would be replayed, and be held while recovery pauses before its commit.
    await cluster.query('delete from orders');
    await archiveEverything(cluster);
    await cluster.runOk([join(cluster.postgres.bin, 'pg_ctl'), '-D', cluster.dataDir, 'stop']);

    Object.assign(cluster.env, environmentFor(restorer));
    await guide.run(blocksFor(import.meta.url, 'restore'), { '2026-11-22 17:45:00+00': time });
    const paused = 'select 1 where pg_get_wal_replay_pause_state() = $$paused$$';
    await waitFor(async () => (await guide.queryAt(5432, paused)).length === 1, { what: 'recovery to pause' });
    expect(await fingerprint(cluster)).toEqual(before);

    await expectRefused(archiver, restorer);
  });
});

/** The statements of the policy that the document shows under this name. */
function policy(name: string): PolicyStatement[] {
  const [block] = blocksFor(import.meta.url, name);
  return (JSON.parse(block?.text ?? '') as { Statement: PolicyStatement[] }).Statement;
}

function environmentFor({ endpoint, accessKey, secretKey }: S3Access): Record<string, string> {
  return {
    AWS_ACCESS_KEY_ID: accessKey,
    AWS_SECRET_ACCESS_KEY: secretKey,
    WALHOLD_S3_ENDPOINT: endpoint,
    WALHOLD_S3_PATH_STYLE: 'on',
  };
}

/** What the policies are for. */
async function expectRefused(archiver: S3Access, restorer: S3Access): Promise<void> {
  const clients: S3Client[] = [adminClient(archiver), adminClient(restorer)];
  try {
    const [archiving, restoring] = clients;
    const listed = await restoring?.send(new ListObjectsV2Command({ Bucket: 'my-bucket', Prefix: 'main/' }));
    const Key = listed?.Contents?.[0]?.Key ?? expect.unreachable();
    const denied = { name: 'AccessDenied' };
    const removal = new DeleteObjectCommand({ Bucket: 'my-bucket', Key });
    await expect(archiving?.send(removal)).rejects.toMatchObject(denied);
    await expect(restoring?.send(removal)).rejects.toMatchObject(denied);
    const elsewhere = { Bucket: 'my-bucket', Body: 'x' };
    await expect(archiving?.send(new PutObjectCommand({ ...elsewhere, Key: 'other/x' }))).rejects.toMatchObject(denied);
    await expect(restoring?.send(new PutObjectCommand({ ...elsewhere, Key: 'main/x' }))).rejects.toMatchObject(denied);
  } finally {
    for (const client of clients) client.destroy();
  }
}
