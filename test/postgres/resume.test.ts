import { readdir, rm } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { MAJORS } from '../../scripts/find-postgres.ts';
import { archivedCluster, restored, walhold, walholdOk, type Archived } from '../support/archived-cluster.ts';
import { archiveEverything } from '../support/archiving.ts';
import { backupFolder, begunBackups, recordOf } from '../support/backup-folder.ts';
import type { Cluster } from '../support/cluster.ts';
import { LONG, NEWEST } from '../support/effort.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { interruptedBackup, objectDigests, SMALL_PARTS } from '../support/interrupted-backup.ts';
import { startLoad } from '../support/load.ts';
import { checkAllPages } from '../support/page-check.ts';
import { EVERYTHING, judgeRows } from '../support/recovered-rows.ts';
import { segmentPath } from '../support/repository-files.ts';
import { SlowBackup } from '../support/slow-backup.ts';
import { makeStandby, waitUntilCaughtUp } from '../support/standby.ts';

/** With pauses, so that the machine has its time for what is tested. */
const LOAD = { clients: 2, payloadBytes: 1000, pauseMs: 4 };

// In CI those of others are gone on with below, with a restart or a crash on top.
describe.each(MAJORS)('a backup of PostgreSQL %i that was killed', (major) => {
  test.runIf(LONG || major === NEWEST)('is gone on with under load, and brings every row back', async () => {
    await using archived = await archivedCluster({ major, walhold: SMALL_PARTS });
    const { cluster, config } = archived;
    await cluster.start();
    await cluster.query('create table dropped as select i, md5(i::text) from generate_series(1, 30000) i');
    await cluster.query('create table updated as select i, md5(i::text) as text from generate_series(1, 30000) i');
    await cluster.query('create unlogged table unlogged as select generate_series(1, 10000) i');
    await using load = await startLoad(cluster, LOAD);
    const id = await interruptedBackup(archived);
    const before = await objectDigests(archived, id);
    await changeMuch(cluster);

    const { stdout, stderr } = await walholdOk(cluster, config, resume(cluster));
    expect(stdout).toBe(`${id}\n`);
    expect(stderr).toContain(`going on with backup ${id}`);
    expect(stderr).not.toMatch(/warning|error/);
    expect(await objectDigests(archived, id)).toMatchObject(before);
    const record = await recordOf(archived, id);
    expect(record.settings).toMatchObject({ attempts: '2' });
    expect(Number(record.settings['resumed_parts'])).toBeGreaterThan(2);
    await recovers(archived, load, id);

    await cluster.query(`update updated set text = 'newest' where i % 7 = 0`);
    const incremental = ['backup', '-c', 'fast', '--type', 'incremental', '-d', cluster.connectionString];
    const next = (await walholdOk(cluster, config, incremental)).stdout.trim();
    expect(await recordOf(archived, next)).toMatchObject({ parent: id });
    await recovers(archived, load, next);
  });
});

describe('between two attempts', () => {
  /** Each of them once. */
  const IN_CI = ['a restart of 13', 'a crash of 15'];

  describe.each([
    ['a restart', 13],
    ['a restart', 15],
    ['a crash', 15],
    ['a crash', 18],
  ] as const)('%s of PostgreSQL %i', (what, major) => {
    test.runIf(LONG || IN_CI.includes(`${what} of ${major}`))('loses nothing', async () => {
      await using archived = await archivedCluster({ major, walhold: SMALL_PARTS });
      const { cluster, config } = archived;
      await cluster.start();
      await cluster.query('create table updated as select i, md5(i::text) as text from generate_series(1, 30000) i');
      await cluster.query('create table dropped as select 1 as i');
      await cluster.query('create unlogged table unlogged as select generate_series(1, 10000) i');
      await using load = await startLoad(cluster, LOAD);
      const id = await interruptedBackup(archived);
      if (what === 'a restart') await cluster.restart('fast');
      else {
        await cluster.kill9();
        await cluster.start();
      }
      await changeMuch(cluster);
      // Written anew, that the copy's is empty is no wonder.
      await cluster.query('truncate unlogged');
      await cluster.query('insert into unlogged select generate_series(1, 10)');
      const { stdout, stderr } = await walholdOk(cluster, config, resume(cluster));
      expect(stdout).toBe(`${id}\n`);
      expect(stderr).not.toMatch(/warning|error/);
      await recovers(archived, load, id);
    });
  });

  test('full_page_writes must have been on, which the WAL tells', async () => {
    await using archived = await archivedCluster({ walhold: SMALL_PARTS });
    const { cluster } = archived;
    await cluster.start();
    const id = await interruptedBackup(archived);
    await cluster.reconfigure({ full_page_writes: false });
    await cluster.query('create table t as select generate_series(1, 1000) i');
    await cluster.reconfigure({ full_page_writes: true });
    await cluster.query('insert into t select generate_series(1, 1000)');
    await startsAnew(archived, id, /full_page_writes was off in 0\w{23}/);
  });

  test('all WAL must have been stored', async () => {
    await using archived = await archivedCluster({ walhold: SMALL_PARTS });
    const { cluster, repository } = archived;
    await cluster.start();
    const id = await interruptedBackup(archived);
    await cluster.query('create table t as select generate_series(1, 1000) i');
    const segment = await archiveEverything(cluster);
    await rm(segmentPath(repository, segment));
    await startsAnew(archived, id, new RegExp(`its WAL is not whole: file://\\S+ lacks ${segment}`));
  });
});

test('a backup from a standby that was killed is gone on with', async () => {
  await using archived = await archivedCluster({ walhold: SMALL_PARTS });
  const { cluster, config } = archived;
  await cluster.start();
  await cluster.query('create table dropped as select i, md5(i::text) from generate_series(1, 30000) i');
  await cluster.query('create table updated as select i, md5(i::text) as text from generate_series(1, 30000) i');
  await using standby = await makeStandby(cluster, { streaming: true });
  await standby.start();
  await waitUntilCaughtUp(standby, cluster);
  await using load = await startLoad(cluster, { ...LOAD, clients: 1 });
  const from = { cluster: standby, config, repository: archived.repository };
  const id = await interruptedBackup(from);
  await changeMuch(cluster);
  await waitUntilCaughtUp(standby, cluster);
  await standby.query('checkpoint');
  const { stdout, stderr } = await walholdOk(standby, config, resume(standby));
  expect(stdout).toBe(`${id}\n`);
  expect(stderr).not.toMatch(/warning|error/);
  await recovers(archived, load, id);
});

describe('--resume', () => {
  test('takes a new backup where none is interrupted, and never goes behind a newer one', async () => {
    await using archived = await archivedCluster({ walhold: SMALL_PARTS });
    const { cluster, config } = archived;
    await cluster.start();
    const flags = resume(cluster);
    const first = await walholdOk(cluster, config, flags);
    expect(first.stderr).toContain('there is no interrupted backup to go on with');
    const id = await interruptedBackup(archived);
    const whole = await walholdOk(cluster, config, ['backup', '-c', 'fast', '-d', cluster.connectionString]);
    const next = await walholdOk(cluster, config, flags);
    expect(next.stderr).toContain('there is no interrupted backup to go on with');
    expect(new Set([first.stdout, whole.stdout, next.stdout, `${id}\n`]).size).toBe(4);
  });

  test('leaves a backup alone that is being taken, which status shows until it is killed', async () => {
    await using archived = await archivedCluster({ walhold: SMALL_PARTS });
    const { cluster, config } = archived;
    await cluster.start();
    // Longer than a killed one's session is waited for.
    await using slow = await SlowBackup.start(archived, ['--max-rate', '1M']);
    const status = async (): Promise<{ backupInProgress: { id: string; phase: string } | null }> => {
      const { stdout } = await walhold(cluster, config, ['status', '-D', cluster.dataDir, '--json']);
      return JSON.parse(stdout) as Awaited<ReturnType<typeof status>>;
    };
    const running = await status();
    const [id] = await begunBackups(archived);
    expect(running.backupInProgress).toMatchObject({ id, phase: 'copying' });
    const refused = await walhold(cluster, config, resume(cluster));
    expect(refused).toMatchObject({ status: 1, stdout: '' });
    expect(refused.stderr).toContain(`error: backup ${id} is not interrupted`);
    expect(await begunBackups(archived)).toEqual([id]);
    slow.kill('SIGKILL');
    await slow.ended();
    expect((await status()).backupInProgress).toBeNull();
  });

  test('ends a backup whose WAL did not come in time, and stores little more of it', async () => {
    await using archived = await archivedCluster({ walhold: SMALL_PARTS });
    const { cluster, config } = archived;
    await cluster.start();
    await using load = await startLoad(cluster, { clients: 1, pauseMs: 20 });
    const pushing = await cluster.value<string>('show archive_command');
    await cluster.reconfigure({ archive_command: 'false' });
    const flags = ['backup', '-c', 'fast', '-d', cluster.connectionString];
    const late = await walhold(cluster, config, [...flags, '--wal-timeout', '1s']);
    expect(late).toMatchObject({ status: 1, stdout: '' });
    const [id = ''] = await begunBackups(archived);
    const parts = (await readdir(backupFolder(archived, id))).filter((name) => name.startsWith('part-'));
    await cluster.reconfigure({ archive_command: pushing });
    const { stdout } = await walholdOk(cluster, config, [...flags, '--resume']);
    expect(stdout).toBe(`${id}\n`);
    const { settings } = await recordOf(archived, id);
    expect(settings).toMatchObject({ resumed_parts: String(parts.length) });
    await recovers(archived, load, id);
  });
});

/** A new backup is taken, and why the interrupted one is not gone on with is one line. */
async function startsAnew({ cluster, config }: Archived, interruptedId: string, why: RegExp): Promise<void> {
  const { stdout, stderr } = await walholdOk(cluster, config, resume(cluster));
  expect(stdout).not.toContain(interruptedId);
  const line = stderr.split('\n').find((one) => one.includes('cannot go on'));
  expect(line).toContain(`warning: cannot go on with backup ${interruptedId}: `);
  expect(line).toMatch(why);
  expect(stderr).toContain('hint: A new backup is taken');
}

function resume(cluster: Cluster): string[] {
  return ['backup', '-c', 'fast', '--resume', '-d', cluster.connectionString];
}

async function changeMuch(cluster: Cluster): Promise<void> {
  await cluster.query('drop table dropped');
  await cluster.query(`update updated set text = 'new' where i % 3 = 0`);
  await cluster.query('checkpoint');
  await cluster.query('create table added as select generate_series(1, 20000) i');
  await cluster.query(`update updated set text = 'newer' where i % 5 = 0`);
  await cluster.query('vacuum updated');
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
  expect(unlogged?.rows ?? 0).toBe(0);
  const { 'public.unlogged': _, ...expected } = before;
  expect(logged).toEqual(expected);
  await copy.stop();
  const pages = await checkAllPages(copy);
  expect(pages.bad).toEqual([]);
  const verified = await walholdOk(cluster, config, ['verify']);
  expect(verified.stderr).not.toMatch(/warning|error/);
}
