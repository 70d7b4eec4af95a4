import { readdir } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { archivedCluster, restored, walholdOk, type Archived } from '../support/archived-cluster.ts';
import { archiveEverything } from '../support/archiving.ts';
import { backupFolder, begunBackups, recordOf } from '../support/backup-folder.ts';
import type { Cluster } from '../support/cluster.ts';
import { LONG } from '../support/effort.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { seededNumbers } from '../support/killer.ts';
import { startLoad, type LoadReport } from '../support/load.ts';
import { checkAllPages } from '../support/page-check.ts';
import { EVERYTHING, judgeRows } from '../support/recovered-rows.ts';
import { SlowBackup } from '../support/slow-backup.ts';
import { waitFor } from '../support/wait-for.ts';

const SEED = Number(process.env['WALHOLD_TEST_SEED'] ?? 20261128);
const ROUNDS = LONG ? 25 : 1;
const RESUME = ['--resume', '--max-rate', '6M'];
/** Twelve megabytes that do not get smaller: more parts than any backup is killed behind. */
const BALLAST = `create table ballast as select i, bytes from generate_series(1, 16000) i,
  lateral (select string_agg(sha256((i::text || ' ' || j)::bytea), ''::bytea) as bytes from generate_series(1, 24) j) made`;
/** What a backup has said when it is killed, some parts later. */
const MOMENTS = ['waiting for a checkpoint', 'reading what is stored', 'going on with', 'copying', 'waiting for WAL'];

test(`with seed ${SEED}, a backup that is killed again and again ends, and brings every row back`, async () => {
  const random = seededNumbers(SEED);
  for (let round = 0; round < ROUNDS; round += 1) {
    await using archived = await archivedCluster({ walhold: { part_size: '1MB' } });
    const { cluster, config } = archived;
    await cluster.start();
    await cluster.query('create extension amcheck');
    await cluster.query('create table changed (i int primary key, text text)');
    await cluster.query(`insert into changed select i, md5(i::text) from generate_series(1, 40000) i`);
    await cluster.query(BALLAST);
    await using load = await startLoad(cluster, { clients: 2, payloadBytes: 1000, limitMs: 240_000 });
    // The first is killed in the midst of its copying; whoever comes after it may not have come so far.
    let id = await killedBackup(archived, random, { moment: 'copying', parts: 4 + random(6) });
    await disturb(cluster, random);
    for (let kills = random(4); kills > 0 && id === ''; kills -= 1) {
      const moment = MOMENTS[random(MOMENTS.length)] ?? '';
      id = await killedBackup(archived, random, { moment, parts: random(8) });
      await disturb(cluster, random);
    }
    const argv = ['backup', '-c', 'fast', '--resume', '-d', cluster.connectionString];
    if (id === '') id = (await walholdOk(cluster, config, argv)).stdout.trim();
    expect(Number((await recordOf(archived, id)).settings['attempts'])).toBeGreaterThan(1);
    await expectEverything(archived, await load.stop(), id);
  }
});

/** Its id, if it was faster than the killer. */
async function killedBackup(
  archived: Archived,
  random: (limit: number) => number,
  { moment, parts }: { moment: string; parts: number },
): Promise<string> {
  const before = (await partsOf(archived)) + parts;
  await using backup = await SlowBackup.start(archived, RESUME, moment);
  const isFar = async (): Promise<boolean> => backup.hasEnded || (await partsOf(archived)) >= before;
  await waitFor(isFar, { what: 'some more parts', everyMs: 1 + random(20) });
  if (!backup.hasEnded) backup.kill('SIGKILL');
  const { stdout } = await backup.ended();
  await waitFor(async () => !(await hasBackupSession(archived.cluster)), { what: 'the session to end' });
  return stdout.trim();
}

async function partsOf(archived: Archived): Promise<number> {
  const newest = (await begunBackups(archived)).at(-1);
  if (newest === undefined) return 0;
  return (await readdir(backupFolder(archived, newest))).filter((name) => name.startsWith('part-')).length;
}

async function hasBackupSession(cluster: Cluster): Promise<boolean> {
  const sql = `select exists (select from pg_stat_activity where application_name = 'walhold')`;
  return await cluster.value<boolean>(sql);
}

/** What a server goes through between two attempts. */
async function disturb(cluster: Cluster, random: (limit: number) => number): Promise<void> {
  await cluster.query(`update changed set text = md5(text) where i % ${2 + random(9)} = 0`);
  switch (random(5)) {
    case 0:
      await cluster.restart('fast');
      break;
    case 1:
      await cluster.kill9();
      await cluster.start();
      break;
    case 2:
      await cluster.query('vacuum full changed');
      break;
    case 3:
      await cluster.query('truncate changed');
      await cluster.query(`insert into changed select i, md5(i::text) from generate_series(1, 20000) i`);
      break;
    default:
      await cluster.query('reindex table changed');
  }
  await cluster.query('checkpoint');
}

async function expectEverything({ cluster, config }: Archived, rows: LoadReport, id: string): Promise<void> {
  await archiveEverything(cluster, 120_000);
  const before = await fingerprint(cluster);
  await using copy = await restored(cluster, config, ['--backup', id]);
  await copy.start();
  await copy.waitUntilPromoted();
  expect(await fingerprint(copy)).toEqual(before);
  const { missing, altered } = await judgeRows(copy, rows, EVERYTHING);
  expect({ missing, altered }).toEqual({ missing: [], altered: [] });
  const indexes = `select count(bt_index_check(c.oid, true)) as checked from pg_class c join pg_am a on a.oid = c.relam
    where a.amname = 'btree' and c.relkind = 'i' and c.relpersistence = 'p'`;
  expect(Number(await copy.value<string>(indexes))).toBeGreaterThan(50);
  await copy.stop();
  expect((await checkAllPages(copy)).bad).toEqual([]);
}
