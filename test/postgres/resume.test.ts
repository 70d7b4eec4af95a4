import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { archivedCluster, restored, walholdOk, type Archived } from '../support/archived-cluster.ts';
import { archiveEverything } from '../support/archiving.ts';
import { backupFolder, begunBackups, extracted, recordOf } from '../support/backup-folder.ts';
import type { Cluster } from '../support/cluster.ts';
import { CHOSEN_MAJORS } from '../support/effort.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { startLoad } from '../support/load.ts';
import { checkAllPages } from '../support/page-check.ts';
import { EVERYTHING, judgeRows } from '../support/recovered-rows.ts';
import { SlowBackup } from '../support/slow-backup.ts';
import { waitFor } from '../support/wait-for.ts';

/** Small parts, so that some are stored when a small cluster's backup is killed. */
const SETTINGS = { part_size: '1MB' };
const SLOWLY = ['--max-rate', '8M'];

describe.each([...new Set([15, ...CHOSEN_MAJORS])])('a backup of PostgreSQL %i that was killed', (major) => {
  test('is gone on with under load, and brings every row back', async () => {
    await using archived = await archivedCluster({ major, walhold: SETTINGS });
    const { cluster, config } = archived;
    await cluster.start();
    await cluster.query('create table dropped as select i, md5(i::text) from generate_series(1, 30000) i');
    await cluster.query('create table updated as select i, md5(i::text) as text from generate_series(1, 30000) i');
    await cluster.query('create unlogged table unlogged as select generate_series(1, 10000) i');
    await using load = await startLoad(cluster, { clients: 2, payloadBytes: 1000 });
    const id = await interrupted(archived);
    const before = await digests(archived, id);
    await changeMuch(cluster);

    const { stdout, stderr } = await walholdOk(cluster, config, resume(cluster));
    expect(stdout).toBe(`${id}\n`);
    expect(stderr).toContain(`going on with backup ${id}`);
    expect(stderr).not.toMatch(/warning|error/);
    expect(await digests(archived, id)).toMatchObject(before);
    const record = await recordOf(archived, id);
    expect(record.settings).toMatchObject({ attempts: '2' });
    expect(Number(record.settings['resumed_parts'])).toBeGreaterThan(2);
    await recovers(archived, load, id);
  });
});

function resume(cluster: Cluster): string[] {
  return ['backup', '-c', 'fast', '--resume', '-d', cluster.connectionString];
}

/** Kills a backup when some of its parts are stored; its id. */
async function interrupted(archived: Archived, parts = 5): Promise<string> {
  await using slow = await SlowBackup.start(archived, SLOWLY);
  const id = await waitFor(async () => (await begunBackups(archived)).at(-1), { what: 'the backup to begin' });
  const isFar = async (): Promise<boolean> => (await readdir(backupFolder(archived, id))).length > parts;
  await waitFor(isFar, { what: 'some parts', everyMs: 5 });
  slow.kill('SIGKILL');
  await slow.ended();
  await waitFor(async () => !(await hasBackupSession(archived.cluster)), { what: 'the session to end' });
  return id;
}

async function hasBackupSession(cluster: Cluster): Promise<boolean> {
  const sql = `select exists (select from pg_stat_activity where application_name = 'walhold')`;
  return await cluster.value<boolean>(sql);
}

async function changeMuch(cluster: Cluster): Promise<void> {
  await cluster.query('drop table dropped');
  await cluster.query(`update updated set text = 'new' where i % 3 = 0`);
  await cluster.query('checkpoint');
  await cluster.query('create table added as select generate_series(1, 20000) i');
  await cluster.query(`update updated set text = 'newer' where i % 5 = 0`);
  await cluster.query('vacuum updated');
}

/** Each object of the backup. */
async function digests(archived: Archived, id: string): Promise<Record<string, string>> {
  const folder = backupFolder(archived, id);
  const found: Record<string, string> = {};
  for (const name of await readdir(folder)) {
    found[name] = createHash('sha256')
      .update(await readFile(join(folder, name)))
      .digest('hex');
  }
  return found;
}

async function recovers(archived: Archived, load: Awaited<ReturnType<typeof startLoad>>, id: string): Promise<void> {
  const { cluster, config } = archived;
  const rows = await load.stop();
  const before = await fingerprint(cluster);
  await archiveEverything(cluster);
  await using copy = await restored(cluster, config, ['--backup', id]);
  await copy.start();
  await copy.waitUntilPromoted();
  const judgement = await judgeRows(copy, rows, EVERYTHING);
  expect(judgement).toMatchObject({ missing: [], unknown: [], altered: [] });
  expect(judgement.found).toBeGreaterThan(100);
  const { 'public.unlogged': unlogged, ...logged } = await fingerprint(copy);
  expect(unlogged?.rows).toBe(0);
  expect({ ...logged, 'public.unlogged': before['public.unlogged'] }).toEqual(before);
  await copy.stop();
  const pages = await checkAllPages(copy);
  expect(pages.bad).toEqual([]);
  expect(await extracted(archived, id)).toContain(id);
}
