import { readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { debianClient } from '../../scripts/debian-clients.ts';
import {
  archivedCluster,
  backUp,
  walhold,
  walholdOk,
  type Archived,
  type ArchivedOptions,
} from '../support/archived-cluster.ts';
import { archiveEverything } from '../support/archiving.ts';
import { begunBackups, extracted, recordOf } from '../support/backup-folder.ts';
import type { Cluster } from '../support/cluster.ts';
import { LONG } from '../support/effort.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { restoreCommand } from '../support/hook.ts';
import { joinedChain } from '../support/joined-chain.ts';
import { checkAllPages } from '../support/page-check.ts';
import { differingFiles } from '../support/relation-files.ts';
import { makeStandby, waitUntilCaughtUp } from '../support/standby.ts';
import { startedExtraction } from '../support/started-extraction.ts';
import { createTablespace } from '../support/tablespace.ts';
import { waitFor } from '../support/wait-for.ts';

const combine = await debianClient(17, 'pg_combinebackup');
const verify = await debianClient(17, 'pg_verifybackup');
const QUIET = { autovacuum: false, max_wal_size: '1GB' };

interface Way extends ArchivedOptions {
  /** How changes must have been found. */
  changes: 'page-lsn' | 'wal-summaries';
}

const BY_PAGES = (major: number): Way => ({ major, settings: QUIET, changes: 'page-lsn' });
const BY_SUMMARIES = (major: number): Way => ({
  major,
  settings: { ...QUIET, summarize_wal: true },
  changes: 'wal-summaries',
});

const PAGES_OR_SUMMARIES: [string, Way][] = [
  ['15 by pages', BY_PAGES(15)],
  ['18 by summaries', BY_SUMMARIES(18)],
];

/**
 * CI does the one that nothing else compares block for block. 15 by pages and 18 by summaries are torture/histories', PostgreSQL's own tool
 * joins chains of 17 below, and restore-chain brings those of 13 back.
 */
const WAYS: [string, Way & { inCi?: boolean }][] = [
  ['13 by pages', BY_PAGES(13)],
  [
    '15 by pages, with hints in the WAL in place of checksums',
    { ...BY_PAGES(15), checksums: false, settings: { ...QUIET, wal_log_hints: true }, inCi: true },
  ],
  ['17 by pages', BY_PAGES(17)],
  ['18 by summaries', BY_SUMMARIES(18)],
];

describe.each(WAYS)('an incremental backup of PostgreSQL %s', (_, { changes, inCi = LONG, ...options }) => {
  test.runIf(inCi)('holds what has changed, and joined with its chain is the server block for block', async () => {
    await using archived = await archivedCluster(options);
    const { cluster } = archived;
    await cluster.start();
    await createTablespace(cluster, 'fast');
    await fillIn(cluster);
    const chain = [await fullBackup(archived)];
    for (const change of [changeLittle, changeAll, changeLittle]) {
      await change(cluster);
      chain.push(await incrementalBackup(archived, { parent: chain.at(-1) ?? '', changes }));
      expect(await differences(archived, chain)).toEqual([]);
    }
    await archiveEverything(cluster);
    await using copy = await startedExtraction(archived, await joined(archived, chain));
    expect(await loggedRows(copy)).toEqual(await loggedRows(cluster));
    expect(await fingerprint(copy, 'twin')).toEqual(await fingerprint(cluster, 'twin'));
    await expectVisible(copy);
    await copy.stop();
    if (options.checksums !== false) expect((await checkAllPages(copy)).bad).toEqual([]);
  });
});

describe.each(PAGES_OR_SUMMARIES)('an incremental backup of PostgreSQL %s', (_, { changes, ...options }) => {
  test('of a server in which one row in a hundred has changed is small', async () => {
    await using archived = await archivedCluster(options);
    const { cluster } = archived;
    await cluster.start();
    await cluster.query(`create table t as select i, repeat(md5(i::text), 8) as v from generate_series(1, 120000) i`);
    await cluster.query('vacuum t');
    const full = await fullBackup(archived);
    await cluster.query('update t set v = upper(v) where i between 5000 and 6200');
    const id = await incrementalBackup(archived, { parent: full, changes });
    const [before, after] = [await recordOf(archived, full), await recordOf(archived, id)];
    const sizes = { size: after.sizeBytes / before.sizeBytes, stored: after.storedBytes / before.storedBytes };
    expect(sizes.stored).toBeLessThan(0.1);
    expect(sizes.size).toBeLessThan(0.15);
  });

  test('holds the whole of a database that was copied, under the number of one that was dropped', async () => {
    await using archived = await archivedCluster(options);
    const { cluster } = archived;
    await cluster.start();
    for (const [name, oid] of [
      ['first', 20000],
      ['second', 20001],
    ] as const) {
      await cluster.query(`create database ${name} oid = ${oid} strategy file_copy`);
      await cluster.query(`create table t as select '${name}' as v from generate_series(1, 20000)`, [], name);
    }
    // Both have the same files by name, and those of the second are older than the backup.
    const full = await fullBackup(archived);
    await cluster.query('drop database first');
    await cluster.query('create database first oid = 20000 template second strategy file_copy');
    const chain = [full, await incrementalBackup(archived, { parent: full, changes })];
    expect(await differences(archived, chain)).toEqual([]);
    await archiveEverything(cluster);
    await using copy = await startedExtraction(archived, await joined(archived, chain));
    expect(await copy.query('select distinct v from t', [], 'first')).toEqual([{ v: 'second' }]);
  });
});

describe('an incremental backup by pages', () => {
  test('holds a block of a file whose times say that nobody wrote to it', async () => {
    await using archived = await archivedCluster(BY_PAGES(15));
    const { cluster } = archived;
    await cluster.start();
    await cluster.query('create table t as select i, md5(i::text) as v from generate_series(1, 20000) i');
    const full = await fullBackup(archived);
    const file = join(cluster.dataDir, await cluster.value<string>(`select pg_relation_filepath('t')`));
    const { atime, mtime } = await stat(file);
    await cluster.query(`update t set v = 'changed' where i = 7`);
    await cluster.query('checkpoint');
    await utimes(file, atime, mtime);
    const chain = [full, await incrementalBackup(archived, { parent: full, changes: 'page-lsn' })];
    expect(await differences(archived, chain)).toEqual([]);
  });
});

describe('an incremental backup by summaries', () => {
  test('needs neither checksums nor hints in the WAL', async () => {
    await using archived = await archivedCluster({ ...BY_SUMMARIES(17), checksums: false });
    const { cluster } = archived;
    await cluster.start();
    await fillIn(cluster, 'pg_default');
    const chain = [await fullBackup(archived)];
    await cluster.query('delete from big where i % 7 = 0');
    await cluster.query('vacuum big');
    chain.push(await incrementalBackup(archived, { parent: chain[0] ?? '', changes: 'wal-summaries' }));
    await archiveEverything(cluster);
    await using copy = await startedExtraction(archived, await joined(archived, chain));
    expect(await loggedRows(copy)).toEqual(await loggedRows(cluster));
    await expectVisible(copy);
  });

  test('is accepted after a restart and a crash', async () => {
    await using archived = await archivedCluster(BY_SUMMARIES(18));
    const { cluster } = archived;
    await cluster.start();
    await fillIn(cluster, 'pg_default');
    const chain = [await fullBackup(archived)];
    await changeLittle(cluster);
    await cluster.restart();
    await changeLittle(cluster);
    await cluster.kill9();
    await cluster.start();
    chain.push(await incrementalBackup(archived, { parent: chain[0] ?? '', changes: 'wal-summaries' }));
    expect(await differences(archived, chain)).toEqual([]);
  });

  test('is accepted on a timeline that begins where a segment does', async () => {
    await using archived = await archivedCluster(BY_SUMMARIES(18));
    const { cluster } = archived;
    await cluster.start();
    await cluster.query('create table big as select i, md5(i::text) as v from generate_series(1, 20000) i');
    const chain = [await fullBackup(archived)];
    // Nothing is in the log behind the switch that ended the backup.
    await cluster.stop('immediate');
    await cluster.configure({ restore_command: await restoreCommand({ config: archived.config }) });
    await cluster.runOk(['touch', join(cluster.dataDir, 'recovery.signal')]);
    await cluster.start();
    await cluster.waitUntilPromoted();
    const history = await readFile(join(cluster.dataDir, 'pg_wal/00000002.history'), 'utf8');
    expect(history).toMatch(/^1\t0\/[0-9A-F]+00000\t/);
    await cluster.query(`update big set v = 'on timeline 2' where i % 500 = 0`);
    chain.push(await incrementalBackup(archived, { parent: chain[0] ?? '', changes: 'wal-summaries' }));
    expect(await differences(archived, chain)).toEqual([]);
  });
});

describe.skipIf(combine === undefined)('pg_combinebackup', () => {
  test('joins an extracted chain into a server, and pg_verifybackup accepts every link', async () => {
    await using archived = await archivedCluster(BY_SUMMARIES(17));
    const { cluster } = archived;
    await cluster.start();
    await createTablespace(cluster, 'fast');
    await fillIn(cluster);
    const chain = [await fullBackup(archived)];
    for (const change of [changeLittle, changeAll]) {
      await change(cluster);
      chain.push(await incrementalBackup(archived, { parent: chain.at(-1) ?? '', changes: 'wal-summaries' }));
    }
    const folders = await extractedChain(archived, chain);
    for (const folder of folders) await cluster.runOk([...(verify ?? []), '-n', folder]);
    const target = join(cluster.place.path, 'combined');
    await cluster.runOk([...(combine ?? []), '-o', target, ...folders]);
    await cluster.runOk([...(verify ?? []), '-n', target]);
    await cluster.query('checkpoint');
    expect(differingFiles(target, cluster.dataDir)).toEqual([]);
    await archiveEverything(cluster);
    await using copy = await startedExtraction(archived, target);
    expect(await loggedRows(copy)).toEqual(await loggedRows(cluster));
    await expectVisible(copy);
  });
});

describe('from a standby', () => {
  test.each(PAGES_OR_SUMMARIES)(
    'an incremental backup of PostgreSQL %s builds on the primary’s',
    async (_, { changes, ...options }) => {
      await using archived = await archivedCluster(options);
      const { cluster: primary, config } = archived;
      await primary.start();
      await fillIn(primary, 'pg_default');
      const restore_command = await restoreCommand({ config });
      await using standby = await makeStandby(primary, { streaming: true, settings: { restore_command } });
      await standby.start();
      await waitUntilCaughtUp(standby, primary);
      const full = await fullBackup(archived);
      await changeLittle(primary);
      await primary.query('checkpoint');
      await waitUntilCaughtUp(standby, primary);
      await standby.query('checkpoint');
      const chain = [full, await incrementalBackup(archived, { parent: full, changes, from: standby })];
      await archiveEverything(primary);
      await using copy = await startedExtraction(archived, await joined(archived, chain));
      expect(await loggedRows(copy)).toEqual(await loggedRows(primary));
      await expectVisible(copy);
    },
  );

  test('none is taken that would start before its parent ended', async () => {
    await using archived = await archivedCluster(BY_PAGES(15));
    const { cluster: primary, config } = archived;
    await primary.start();
    const restore_command = await restoreCommand({ config });
    await using standby = await makeStandby(primary, { streaming: true, settings: { restore_command } });
    await standby.start();
    await waitUntilCaughtUp(standby, primary);
    const full = await fullBackup(archived);
    await expectRefusal({ ...archived, cluster: standby }, `before backup ${full} ended`);
  });
});

describe('--type', () => {
  test('incremental refuses without a backup to build on, auto takes a full one and says so', async () => {
    await using archived = await archivedCluster({ major: 15 });
    await archived.cluster.start();
    await expectRefusal(archived, 'there is no backup to build on');
    expect(await begunBackups(archived)).toEqual([]);
    await expectFull(archived, 'there is no backup to build on');
    expect(await typeTaken(archived, 'auto')).toBe('incremental');
  });

  test('incremental refuses what has lost a link of its chain, in any repository', async () => {
    await using archived = await archivedCluster({ major: 15 });
    const { cluster, config } = archived;
    const second = await cluster.place.folder('second');
    await cluster.runOk(['sh', '-c', `echo "repo2 = 'file://$1'" >> "$2"`, 'sh', second, config]);
    await cluster.start();
    const full = await fullBackup(archived);
    await cluster.query('create table t as select 1 as i');
    const id = await incrementalBackup(archived, { parent: full, changes: 'page-lsn' });
    const move = async (from: string, to: string): Promise<unknown> => await cluster.runOk(['mv', from, to]);
    const aside = join(cluster.place.path, 'aside');

    await move(join(second, 'backup', full), aside);
    await expectRefusal(archived, `backup ${full} is not in file://${second}`);
    await move(aside, join(second, 'backup', full));
    for (const repository of [archived.repository, second]) await rm(join(repository, 'backup', full, 'backup.json'));
    await expectRefusal(archived, `backup ${full} is missing, and backup ${id} builds on it`);
    for (const repository of [archived.repository, second]) {
      await writeFile(join(repository, 'backup', id, 'backup.json'), 'no record');
    }
    await expectRefusal(archived, `the record of backup ${id} is damaged`);
    await expectFull(archived, `the record of backup ${id} is damaged`);
  });

  test('is told by list, and verify reads an incremental backup as any other', async () => {
    await using archived = await archivedCluster({ major: 15 });
    const { cluster, config } = archived;
    await cluster.start();
    const parent = await fullBackup(archived);
    await cluster.query('create table t as select 1 as i');
    const id = await incrementalBackup(archived, { parent, changes: 'page-lsn' });
    const { stdout } = await walholdOk(cluster, config, ['list', '--json']);
    const list = JSON.parse(stdout) as { backups: unknown[] };
    expect(list.backups).toEqual([
      expect.objectContaining({ id: parent, type: 'full', parent: null }),
      expect.objectContaining({ id, type: 'incremental', parent }),
    ]);
    await walholdOk(cluster, config, ['verify']);
  });

  test('incremental refuses where neither checksums nor hints show every change', async () => {
    await using archived = await archivedCluster({ major: 15, checksums: false });
    await archived.cluster.start();
    await fullBackup(archived);
    await expectRefusal(archived, 'neither data_checksums nor wal_log_hints is on');
    await expectFull(archived, 'neither data_checksums nor wal_log_hints is on');
  });

  test('incremental refuses by pages after a restart, in which checksums may have been off', async () => {
    await using archived = await archivedCluster({ major: 15 });
    const { cluster } = archived;
    await cluster.start();
    const id = await fullBackup(archived);
    await cluster.restart();
    await expectRefusal(archived, `the server was restarted after backup ${id} began`);
  });

  test('incremental refuses by summaries that have gone', async () => {
    await using archived = await archivedCluster({ ...BY_SUMMARIES(17), checksums: false });
    const { cluster } = archived;
    await cluster.start();
    const { startLsn } = await recordOf(archived, await fullBackup(archived));
    await cluster.query('create table t as select 1 as i');
    await cluster.query('checkpoint');
    const since = 'select count(*)::int as n from pg_available_wal_summaries() where start_lsn >= $1';
    await waitFor(async () => (await cluster.value<number>(since, [startLsn])) > 0, {
      what: 'a summary',
      deadlineMs: 60_000,
    });
    await cluster.runOk(['sh', '-c', 'rm -f "$1"/*.summary', 'sh', join(cluster.dataDir, 'pg_wal/summaries')]);
    await expectRefusal(archived, 'there is no WAL summary from');
  });

  test('auto builds on the newest backup of the timeline that the server is on', async () => {
    await using archived = await archivedCluster({ ...BY_SUMMARIES(17), name: 'promoted' });
    const { cluster } = archived;
    await cluster.start();
    await cluster.query('create table big as select i, md5(i::text) as v from generate_series(1, 20000) i');
    const chain = [await fullBackup(archived)];
    await archiveEverything(cluster);
    await cluster.stop();
    await cluster.runOk(['touch', join(cluster.dataDir, 'standby.signal')]);
    await cluster.start();
    await cluster.promote();
    await cluster.query(`update big set v = 'on timeline 2' where i % 500 = 0`);
    chain.push(await incrementalBackup(archived, { parent: chain[0] ?? '', changes: 'wal-summaries' }));
    expect((await recordOf(archived, chain[1] ?? '')).timeline).toBe(2);
    expect(await differences(archived, chain)).toEqual([]);
  });
});

/** Tables of all kinds, and databases. */
async function fillIn(cluster: Cluster, tablespace = 'fast'): Promise<void> {
  for (const name of ['big', 'cut', 'gone', 'anew', 'packed', 'moved', 'emptied']) {
    await cluster.query(`create table ${name} as select i, md5(i::text) as v from generate_series(1, 9000) i`);
    await cluster.query(`create index on ${name} (i)`);
  }
  await cluster.query(
    `create table faraway tablespace ${tablespace} as select i, md5(i::text) as v from generate_series(1, 9000) i`,
  );
  await cluster.query('create unlogged table forgotten as select i from generate_series(1, 5000) i');
  await cluster.query('create unlogged table kept as select i from generate_series(1, 5000) i');
  await cluster.query('create table n as select i, i::text as v from generate_series(1, 3000) i; create sequence s');
  await cluster.query('create database model');
  await cluster.query('create table t as select i, md5(i::text) as v from generate_series(1, 5000) i', [], 'model');
  await cluster.query('create database wandering');
  await cluster.query('create table t as select i, md5(i::text) as v from generate_series(1, 5000) i', [], 'wandering');
  await cluster.query('vacuum');
}

async function changeLittle(cluster: Cluster): Promise<void> {
  await cluster.query(`update big set v = v || 'x' where i between 4000 and 4050`);
  await cluster.query(`select nextval('s') from generate_series(1, 100)`).catch(() => undefined);
}

/** One of each kind of change that a block list could get wrong. */
async function changeAll(cluster: Cluster): Promise<void> {
  await cluster.query('delete from cut where i > 2000');
  await cluster.query('vacuum cut');
  await cluster.query(`insert into cut select i, 'again' from generate_series(2001, 3000) i`);
  await cluster.query(
    'drop table gone; drop table anew; create table anew as select i from generate_series(1, 4000) i',
  );
  await cluster.query('vacuum full packed');
  await cluster.query('alter table moved set tablespace fast; alter table faraway set tablespace pg_default');
  await cluster.query(`truncate emptied; insert into emptied select i, 'little' from generate_series(1, 300) i`);
  await cluster.query('reindex table big; alter table kept set logged; alter table n set unlogged');
  await cluster.query('create temporary table t as select 1 as i; delete from big where i % 90 = 0; delete from n');
  await cluster.query('vacuum');
  for (const strategy of cluster.postgres.major >= 15 ? ['strategy file_copy', 'strategy wal_log'] : ['']) {
    await cluster.query('drop database if exists twin');
    await cluster.query(`create database twin template model ${strategy}`);
  }
  await cluster.query('alter database wandering set tablespace fast');
}

async function fullBackup({ cluster, config }: Archived): Promise<string> {
  await leaveHints(cluster);
  const id = await backUp(cluster, config);
  expect(id).toMatch(/-full$/);
  return id;
}

/** An incremental backup, proven to be one, on this parent and in this way. */
async function incrementalBackup(
  archived: Archived,
  { parent, changes, from = archived.cluster }: { parent: string; changes: Way['changes']; from?: Cluster },
): Promise<string> {
  await leaveHints(archived.cluster);
  const argv = ['backup', '--type', 'incremental', '-c', 'fast', '-d', from.connectionString];
  const { stdout, stderr } = await walholdOk(from, archived.config, argv);
  const id = stdout.trim();
  expect(id).toMatch(/^\d{8}T\d{6}Z-incr$/);
  expect(await recordOf(archived, id)).toMatchObject({ type: 'incremental', parent, settings: { changes } });
  const line = new RegExp(`stored backup ${id}: incremental on ${parent}, (\\d+) of (\\d+) blocks`).exec(stderr);
  expect(Number(line?.[1])).toBeLessThan(Number(line?.[2]));
  expect(Number(line?.[1])).toBeGreaterThan(0);
  return id;
}

/** A backup lists the databases at its end, and whoever is the first to read a row leaves a hint in the page, which was copied by then. */
async function leaveHints(cluster: Cluster): Promise<void> {
  await cluster.query('select from pg_database');
}

/** What is not the same in the joined chain and in the quiet server. */
async function differences(archived: Archived, chain: readonly string[]): Promise<string[]> {
  await archived.cluster.query('checkpoint');
  return differingFiles(await joined(archived, chain), archived.cluster.dataDir);
}

async function joined(archived: Archived, chain: readonly string[]): Promise<string> {
  return await joinedChain(archived.cluster, await extractedChain(archived, chain));
}

/** Each backup is extracted once. */
async function extractedChain(archived: Archived, chain: readonly string[]): Promise<string[]> {
  const folders: string[] = [];
  for (const id of chain) {
    const place = `${archived.repository}/${id}`;
    const folder = extractions.get(place) ?? (await extracted(archived, id));
    extractions.set(place, folder);
    folders.push(folder);
  }
  return folders;
}

const extractions = new Map<string, string>();

/** Of all tables but the unlogged ones. */
async function loggedRows(cluster: Cluster): Promise<unknown> {
  const unlogged = await cluster.query<{ name: string }>(
    `select oid::regclass::text as name from pg_class where relpersistence = 'u'`,
  );
  const rows = await fingerprint(cluster);
  return Object.fromEntries(
    Object.entries(rows).filter(([name]) => !unlogged.some((one) => `public.${one.name}` === name)),
  );
}

/** Visibility maps agree with the heap: else index-only scans count rows that have gone. */
async function expectVisible(cluster: Cluster): Promise<void> {
  const client = await cluster.connect();
  const count = async (index: boolean): Promise<unknown> => {
    await client.query(
      `set enable_seqscan = ${index ? 'off' : 'on'}; set enable_indexonlyscan = ${index ? 'on' : 'off'}`,
    );
    await client.query(`set enable_bitmapscan = off; set enable_indexscan = off`);
    return (await client.query('select count(i) as n from big where i > 0')).rows;
  };
  expect(await count(true)).toEqual(await count(false));
}

async function expectRefusal(archived: Archived, why: string): Promise<void> {
  const argv = ['backup', '--type', 'incremental', '-c', 'fast', '-d', archived.cluster.connectionString];
  const { status, stdout, stderr } = await walhold(archived.cluster, archived.config, argv);
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  expect(stderr).toContain('walhold: error: could not take an incremental backup');
  expect(stderr).toContain(why);
  expect(stderr).toContain('walhold: hint: Take a full one (--type full)');
}

/** With `auto` a full backup is taken, for this reason. */
async function expectFull(archived: Archived, why: string): Promise<void> {
  const argv = ['backup', '--type', 'auto', '-c', 'fast', '-d', archived.cluster.connectionString];
  const { stdout, stderr } = await walholdOk(archived.cluster, archived.config, argv);
  expect(stdout).toMatch(/-full\n$/);
  expect(stderr).toContain(`taking a full backup: ${why}`);
}

async function typeTaken(archived: Archived, type: string): Promise<string> {
  return (await recordOf(archived, await backUp(archived.cluster, archived.config, ['--type', type]))).type;
}
