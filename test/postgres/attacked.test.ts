import {
  DeleteObjectCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
  type ListObjectVersionsCommandOutput,
} from '@aws-sdk/client-s3';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { findPostgres } from '../../scripts/find-postgres.ts';
import { archivedCluster, backUp } from '../support/archived-cluster.ts';
import { archiveEverything } from '../support/archiving.ts';
import { adminClient } from '../support/bucket.ts';
import { blocksFor } from '../support/document-blocks.ts';
import { Guide } from '../support/guide.ts';
import { archivingToS3 } from '../support/s3-cluster.ts';
import { s3ServerKinds, startMinio, type S3Server } from '../support/s3-server.ts';
import { waitFor } from '../support/wait-for.ts';

const { hasClients } = await findPostgres();
const possible = hasClients && s3ServerKinds().includes('minio');
const SHOWN = '2026-11-22 17:45:00+00';
const ROWS = 'select count(*)::int as count, sum(id)::int as sum from orders';
const IDENTITY = 'cluster/walhold.json';

describe.skipIf(!possible)('RECOVERY.md on an attacked bucket', () => {
  test('brings every row back, though each object was written over or hidden and a coming name was taken', async () => {
    await using server = await startMinio();
    await server.makeBucket('bucket', { versioning: true });
    const { walhold, env } = archivingToS3(server, 'bucket');
    await using archived = await archivedCluster({ walhold, env, name: 'attacked' });
    const { cluster, config } = archived;
    await cluster.configure({ unix_socket_directories: cluster.socketDir });
    await cluster.start();
    const guide = new Guide(cluster, '', config);
    await cluster.query('create table orders as select generate_series(1, 5000) as id');
    await backUp(cluster, config);
    await cluster.query('insert into orders select generate_series(5001, 6000)');
    await archiveEverything(cluster);
    const before = await cluster.query(ROWS);
    const moment = { [SHOWN]: await cluster.value<string>('select clock_timestamp()::text') };

    await cluster.query('drop table orders');
    await archiveEverything(cluster);
    const next = await cluster.value<string>('select pg_walfile_name(pg_current_wal_lsn())');
    await cluster.kill9();
    const attacked = await attack(server, `cluster/wal/${next.slice(0, 8)}/${next.slice(0, 16)}/${next}.zst`);

    const look = await guide.attempt(blocksFor(import.meta.url, 'look'));
    expect(look.status).toBe(1);
    for (const key of attacked) {
      const code = key === IDENTITY ? 'delete-marker' : 'extra-version';
      expect(look.stdout).toContain(`${code}: ${key.slice('cluster/'.length)}: `);
    }

    await guide.run(blocksFor(import.meta.url, 'restore'), moment);
    await waitUntilPromoted(guide);
    expect(await guide.queryAt(5433, ROWS)).toEqual(before);
    const stop = [join(cluster.postgres.bin, 'pg_ctl'), '-D', guide.path('restored'), '-m', 'immediate', 'stop'];
    await cluster.runOk(stop);
    await cluster.runOk(['rm', '-r', guide.path('restored')]);

    const asOf = await guide.run(blocksFor(import.meta.url, 'as-of'), moment);
    expect(asOf.stderr).not.toContain('somebody else');
    await waitUntilPromoted(guide);
    expect(await guide.queryAt(5433, ROWS)).toEqual(before);
    const [settings] = await guide.queryAt<{ archive: string; command: string }>(
      5433,
      `select current_setting('archive_mode') as archive, current_setting('restore_command') as command`,
    );
    expect(settings).toMatchObject({
      archive: 'off',
      command: expect.stringMatching(/ --as-of '.+' %f %p$/) as string,
    });
    await cluster.runOk(stop);
  });
});

/** Writes junk over all that is stored, hides the identity, takes the name of the next segment. Returns the keys that were there. */
async function attack(server: S3Server, next: string): Promise<string[]> {
  const client = adminClient(server);
  const Bucket = 'bucket';
  try {
    const { Versions = [] }: ListObjectVersionsCommandOutput = await client.send(
      new ListObjectVersionsCommand({ Bucket }),
    );
    const keys = Versions.map(({ Key = '' }) => Key);
    expect(new Set(keys).size).toBe(keys.length);
    for (const Key of [...keys, next]) {
      if (Key === IDENTITY) await client.send(new DeleteObjectCommand({ Bucket, Key }));
      else await client.send(new PutObjectCommand({ Bucket, Key, Body: 'junk' }));
    }
    return keys;
  } finally {
    client.destroy();
  }
}

async function waitUntilPromoted(guide: Guide): Promise<void> {
  await waitFor(async () => (await guide.queryAt(5433, 'select 1 where not pg_is_in_recovery()')).length === 1, {
    what: 'the copy to be promoted',
  });
}
