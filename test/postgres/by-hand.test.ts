import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { findPostgres } from '../../scripts/find-postgres.ts';
import { archiveEverything } from '../support/archiving.ts';
import type { Cluster } from '../support/cluster.ts';
import { blocksFor, textsWithPlaces, type DocumentBlock } from '../support/document-blocks.ts';
import { download } from '../support/download.ts';
import { fingerprint, type TableFingerprint } from '../support/fingerprint.ts';
import { Guide } from '../support/guide.ts';
import { s3ServerKinds, startS3Server } from '../support/s3-server.ts';
import { createTablespace } from '../support/tablespace.ts';
import { waitFor } from '../support/wait-for.ts';

const { hasClients } = await findPostgres();

/** Where the document has the repository. */
const SHOWN = '/mnt/backup/main';
const SHOWN_ID = '20261122T174500Z-full';

describe('README.md by hand', () => {
  test('brings a cluster back, to the end of the log', async () => {
    await using guide = await Guide.start({ name: 'by-hand' });
    const { cluster, repository } = guide;
    await cluster.query('create table orders as select generate_series(1, 5000) as id');
    const id = await guide.backUp();
    await cluster.query('insert into orders select generate_series(5001, 6000)');
    await archiveEverything(cluster);
    const content = await fingerprint(cluster);
    await cluster.kill9();
    await cluster.runOk(['rm', '-r', cluster.dataDir]);
    await runWithoutWalhold(cluster, blocksFor(import.meta.url, 'short'), { [SHOWN]: repository, [SHOWN_ID]: id });
    await waitFor(async () => !(await cluster.value<boolean>('select pg_is_in_recovery()')), { what: 'the promotion' });
    expect(await fingerprint(cluster)).toEqual(content);
  });
});

describe.skipIf(!hasClients)('RECOVERY.md by hand: tar, zstd, mv and PostgreSQL alone', () => {
  test('bring back a cluster with two tablespaces from a directory', async () => {
    await using guide = await Guide.start({ name: 'by-hand' });
    const lost = await loseCluster(guide);
    await recoverByHand(guide, guide.repository, lost);
  });

  test.skipIf(s3ServerKinds().length === 0)('bring it back from a download of the bucket', async () => {
    await using s3 = await startS3Server();
    const bucket = 'by-hand';
    await s3.makeBucket(bucket);
    const env = { AWS_ACCESS_KEY_ID: s3.accessKey, AWS_SECRET_ACCESS_KEY: s3.secretKey };
    await using guide = await Guide.start({ name: 'by-hand', env }, () => ({
      repo: `s3://${bucket}/main`,
      s3_endpoint: s3.endpoint,
      s3_region: s3.region,
      s3_path_style: 'on',
    }));
    const lost = await loseCluster(guide);
    const folder = await mkdtemp(join(tmpdir(), 'walhold-download-'));
    try {
      await chmod(folder, 0o755);
      await download(s3, bucket, 'main/', folder);
      await recoverByHand(guide, folder, lost);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

interface Lost {
  id: string;
  /** A moment after the backup. */
  time: string;
  content: Record<string, TableFingerprint>;
}

/** Fills a cluster and its tablespaces, backs it up, goes on, and destroys it. */
async function loseCluster(guide: Guide): Promise<Lost> {
  const { cluster } = guide;
  const folders = [await createTablespace(cluster, 'fast'), await createTablespace(cluster, 'large')];
  await cluster.query('create table orders as select generate_series(1, 5000) as id');
  await cluster.query('create table fast_orders tablespace fast as select generate_series(1, 5000) as id');
  await cluster.query('create table large_orders tablespace large as select generate_series(1, 5000) as id');
  const id = await guide.backUp();
  for (const table of ['orders', 'fast_orders', 'large_orders']) {
    await cluster.query(`insert into ${table} select generate_series(5001, 6000)`);
  }
  const content = await fingerprint(cluster);
  const time = await cluster.value<string>('select clock_timestamp()::text');
  await cluster.query('drop table orders, fast_orders, large_orders');
  await archiveEverything(cluster);
  await cluster.kill9();
  await cluster.runOk(['rm', '-r', cluster.dataDir, ...folders]);
  return { id, time, content };
}

async function recoverByHand({ cluster }: Guide, repository: string, { id, time, content }: Lost): Promise<void> {
  const unpack = blocksFor(import.meta.url, 'backup');
  const { stdout } = await runWithoutWalhold(cluster, unpack, { [SHOWN]: repository, [SHOWN_ID]: id });
  expect(stdout).toContain(`/${id}/backup.json`);
  expect(stdout).toContain('backup successfully verified');
  await runWithoutWalhold(cluster, blocksFor(import.meta.url, 'tablespaces'), {});
  const places = { [SHOWN]: repository, '2026-11-22 17:45:00+00': time };
  await runWithoutWalhold(cluster, blocksFor(import.meta.url, 'recovery'), places);
  await waitFor(async () => !(await cluster.value<boolean>('select pg_is_in_recovery()')), { what: 'the promotion' });
  expect(await fingerprint(cluster)).toEqual(content);
  expect(await cluster.query('select spcname from pg_tablespace where oid >= 16384')).toHaveLength(2);
}

/** As {@link Guide.run}, with nothing of walhold's in reach. */
async function runWithoutWalhold(
  cluster: Cluster,
  blocks: readonly DocumentBlock[],
  places: Readonly<Record<string, string>>,
): Promise<{ stdout: string }> {
  const env = { PATH: `${cluster.postgres.bin}:/usr/bin:/bin` };
  const [script = ''] = textsWithPlaces(blocks, { ...places, '/var/lib/pgsql': cluster.place.path });
  return await cluster.runOk(['sh', '-eu', '-c', script], { env, cwd: cluster.place.path });
}
