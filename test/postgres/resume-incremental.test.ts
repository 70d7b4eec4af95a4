import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { debianClient } from '../../scripts/debian-clients.ts';
import {
  archivedCluster,
  backUp,
  restored,
  walholdOk,
  type Archived,
  type ArchivedOptions,
} from '../support/archived-cluster.ts';
import { archiveEverything } from '../support/archiving.ts';
import { backupFolder, extracted, recordOf } from '../support/backup-folder.ts';
import type { Cluster } from '../support/cluster.ts';
import { LONG } from '../support/effort.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { restoreCommand } from '../support/hook.ts';
import { interruptedBackup, objectDigests, SMALL_PARTS } from '../support/interrupted-backup.ts';
import { checkAllPages } from '../support/page-check.ts';
import { segmentPath } from '../support/repository-files.ts';
import { makeStandby, waitUntilCaughtUp } from '../support/standby.ts';
import { startedExtraction } from '../support/started-extraction.ts';

const combine = await debianClient(17, 'pg_combinebackup');
const verify = await debianClient(17, 'pg_verifybackup');
const QUIET = { autovacuum: false, max_wal_size: '1GB' };
const INCREMENTAL = ['--type', 'incremental'];

interface Way extends ArchivedOptions {
  changes: 'page-lsn' | 'wal-summaries';
  /** Between the attempts. */
  crash: boolean;
}

const byPages = (major: number, crash: boolean): Way => ({
  major,
  segmentMb: 16,
  walhold: SMALL_PARTS,
  settings: QUIET,
  changes: 'page-lsn',
  crash,
});
const bySummaries = (major: number, crash: boolean): Way => ({
  ...byPages(major, crash),
  settings: { ...QUIET, summarize_wal: true },
  changes: 'wal-summaries',
});

const MORE_WAYS: [string, Way][] = [
  ['15 by pages', byPages(15, false)],
  ['18 by summaries, with a crash between', bySummaries(18, true)],
];

const WAYS: [string, Way][] = [
  ['15 by pages, with a crash between', byPages(15, true)],
  ['17 by summaries', bySummaries(17, false)],
  ...(LONG ? MORE_WAYS : []),
];

describe.each(WAYS)('an incremental backup of PostgreSQL %s that was killed', (_, { changes, crash, ...options }) => {
  test('is gone on with, and joined with its chain replays to the server as it is', async () => {
    await using archived = await archivedCluster(options);
    const { cluster, config } = archived;
    await cluster.start();
    await fillIn(cluster);
    const full = await backUp(cluster, config);
    await changeHalf(cluster);
    const id = await interruptedBackup(archived, KINDS.length, [...INCREMENTAL, '--max-rate', '6M']);
    const before = await objectDigests(archived, id);
    await expectSomeStored(archived, id);
    await changeAll(cluster);
    if (crash) {
      await cluster.kill9();
      await cluster.start();
    }
    await changeMore(cluster);

    const { stdout, stderr } = await walholdOk(cluster, config, resume(cluster, INCREMENTAL));
    expect(stdout).toBe(`${id}\n`);
    expect(stderr).not.toMatch(/warning|error/);
    expect(await objectDigests(archived, id)).toMatchObject(before);
    const parts = Object.keys(before).filter((name) => name.startsWith('part-'));
    expect(await recordOf(archived, id)).toMatchObject({
      type: 'incremental',
      parent: full,
      settings: { attempts: '2', resumed_parts: String(parts.length), changes },
    });
    await expectFewCopied(archived, id, { parts, stderr });
    const isLast = crash && changes === 'page-lsn';
    // Of one that others build on, those bring every byte back too.
    if (isLast || LONG) await recovers(archived, [full, id]);
    if (options.major === 17 && combine !== undefined) await combines(archived, [full, id]);

    if (isLast) return;
    await cluster.query(`update large_still set v = 'newest' where i % 700 = 0; insert into added values (1)`);
    const next = await backUp(cluster, config, INCREMENTAL);
    expect(await recordOf(archived, next)).toMatchObject({ parent: id });
    await recovers(archived, [full, id, next]);
  });
});

/** What happens to a table between the attempts, by its name. */
const KINDS = ['still', 'quiet', 'updated', 'cut', 'emptied', 'gone', 'anew', 'packed'] as const;
const LARGE = 20_000;
const SMALL = 7_000;
const TABLES = [
  ...KINDS.map((kind) => ({ name: `large_${kind}`, rows: LARGE, kind })),
  ...KINDS.map((kind) => ({ name: `small_${kind}`, rows: SMALL, kind })),
];

const filledWith = (rows: number, what: string): string =>
  `as select i, md5(i::text) || '${what}' as v from generate_series(1, ${rows}) i`;

/** Of each kind a table that is copied early, for its size, and one that is copied late. */
async function fillIn(cluster: Cluster): Promise<void> {
  for (const { name, rows } of TABLES) await cluster.query(`create table ${name} ${filledWith(rows, 'old')}`);
  await cluster.query('create index on large_still (i); create index on small_updated (i)');
  await cluster.query('create table sleeping as select i from generate_series(1, 30000) i');
  for (const [name, oid] of Object.entries(DATABASES)) {
    await cluster.query(`create database ${name} oid = ${oid}`);
    await cluster.query(`create table t ${filledWith(3000, name)}`, [], name);
  }
  await cluster.query('vacuum');
}

/** Their files have the same names. */
const DATABASES = { first: 20_000, second: 20_001, third: 20_002 };

/** Between the parent and the first attempt. */
async function changeHalf(cluster: Cluster): Promise<void> {
  for (const { name, rows, kind } of TABLES) {
    if (kind !== 'quiet') await cluster.query(`update ${name} set v = 'half' || i where i < ${rows / 2}`);
  }
  await cluster.query(`update t set v = 'of the second' where i < 1000`, [], 'second');
}

async function changeAll(cluster: Cluster): Promise<void> {
  for (const { name, rows, kind } of TABLES) {
    const statements = {
      still: '',
      quiet: '',
      updated: `update ${name} set v = 'updated' where i % 3 = 0`,
      cut: `delete from ${name} where i > ${rows / 4} or v like 'half%'`,
      emptied: `truncate ${name}; insert into ${name} select i, 'little' from generate_series(1, 300) i`,
      gone: `drop table ${name}`,
      anew: `drop table ${name}; create table ${name} ${filledWith(rows / 3, 'anew')}`,
      packed: '',
    };
    if (statements[kind] !== '') await cluster.query(statements[kind]);
    if (kind === 'cut') await cluster.query(`vacuum ${name}`);
    if (kind === 'packed') await cluster.query(`vacuum full ${name}`);
  }
  await cluster.query('checkpoint');
  for (const [name, strategy] of [
    ['first', 'file_copy'],
    ['third', 'wal_log'],
  ] as const) {
    await cluster.query(`drop database ${name}`);
    await cluster.query(`create database ${name} oid = ${DATABASES[name]} template second strategy ${strategy}`);
  }
}

/** What was cut off grows again. */
async function changeMore(cluster: Cluster): Promise<void> {
  for (const size of ['large', 'small']) {
    await cluster.query(`insert into ${size}_cut select i, 'again' from generate_series(1, 9000) i`);
    await cluster.query(`update ${size}_anew set v = 'anew again' where i % 5 = 0`);
  }
  await cluster.query('create table added as select generate_series(1, 9000) as i; reindex index large_still_i_idx');
  await cluster.query(`insert into t select i, 'later' from generate_series(1, 900) i`, [], 'third');
}

/** Changed blocks of each large table are stored, and of some small tables nothing. */
async function expectSomeStored(archived: Archived, id: string): Promise<void> {
  const script = 'for part in "$1"/part-*.tar.zst; do zstd -dc "$part" | tar -t || exit 1; done';
  const { stdout } = await archived.cluster.runOk(['sh', '-c', script, 'sh', backupFolder(archived, id)]);
  const stored = new Set(stdout.split('\n'));
  const isStored = async ({ name }: { name: string }): Promise<boolean> => {
    const path = await archived.cluster.value<string>(`select pg_relation_filepath('${name}')`);
    return stored.has(path.replace(/\d+$/, 'INCREMENTAL.$&'));
  };
  const large = await Promise.all(TABLES.slice(0, KINDS.length).map(isStored));
  const small = await Promise.all(TABLES.slice(KINDS.length).map(isStored));
  expect(large.filter(Boolean).length).toBeGreaterThanOrEqual(KINDS.length - 3);
  expect(small.filter(Boolean).length).toBeLessThanOrEqual(KINDS.length - 3);
}

/** Each file is held once, the blocks are counted over both attempts, and most bytes are of the first. */
async function expectFewCopied(
  archived: Archived,
  id: string,
  { parts, stderr }: { parts: readonly string[]; stderr: string },
): Promise<void> {
  const record = await recordOf(archived, id);
  const files = record.parts.flatMap((part) => part.frames).flatMap(filesOf);
  expect(new Set(files.map(({ path }) => path.replace(PREFIX, ''))).size).toBe(files.length);
  const mains = files.filter(({ path }) => MAIN_FORK.test(path));
  // A header of so few blocks is a page; of none it is twelve bytes.
  const counts = mains.map(({ path, size }) => Math.max(0, Math.floor(size / 8192) - (path.includes(PREFIX) ? 1 : 0)));
  const copied = counts.reduce((sum, one) => sum + one, 0);
  const [, blocks, all] = /incremental on \S+, (\d+) of (\d+) blocks/.exec(stderr) ?? [];
  expect(Number(blocks)).toBe(copied);
  expect(copied / Number(all)).toBeLessThan(0.6);
  const sizes = await Promise.all(parts.map(async (name) => (await stat(join(backupFolder(archived, id), name))).size));
  expect(sizes.reduce((sum, one) => sum + one, 0) / record.storedBytes).toBeGreaterThan(0.3);
}

const PREFIX = 'INCREMENTAL.';
const MAIN_FORK = /^(global|base\/\d+)\/(INCREMENTAL\.)?\d+$/;

/** Of a frame in `backup.json`: its place and size, then path, size and place of each file. */
function filesOf(frame: readonly (string | number)[]): { path: string; size: number }[] {
  const files: { path: string; size: number }[] = [];
  for (let at = 3; at < frame.length; at += 3) files.push({ path: String(frame[at]), size: Number(frame[at + 1]) });
  return files;
}

function resume(cluster: Cluster, flags: readonly string[]): string[] {
  return ['backup', '-c', 'fast', '--resume', ...flags, '-d', cluster.connectionString];
}

async function recovers(archived: Archived, chain: readonly string[]): Promise<void> {
  const { cluster, config } = archived;
  await archiveEverything(cluster);
  const expected = await contents(cluster);
  await using copy = await restored(cluster, config, ['--backup', chain.at(-1) ?? '']);
  await copy.start();
  await copy.waitUntilPromoted();
  expect(await contents(copy)).toEqual(expected);
  await copy.stop();
  expect((await checkAllPages(copy)).bad).toEqual([]);
  const verified = await walholdOk(cluster, config, ['verify']);
  expect(verified.stderr).not.toMatch(/warning|error/);
}

/** With `tar`, `zstd` and PostgreSQL's own tools. */
async function combines(archived: Archived, chain: readonly string[]): Promise<void> {
  const { cluster } = archived;
  await archiveEverything(cluster);
  const expected = await contents(cluster);
  const folders: string[] = [];
  for (const id of chain) {
    const folder = await extracted(archived, id);
    await cluster.runOk([...(verify ?? []), '-n', folder]);
    folders.push(folder);
  }
  const target = join(cluster.place.path, 'combined');
  await cluster.runOk([...(combine ?? []), '-o', target, ...folders]);
  await cluster.runOk([...(verify ?? []), '-n', target]);
  await using copy = await startedExtraction(archived, target);
  expect(await contents(copy)).toEqual(expected);
}

async function contents(cluster: Cluster): Promise<unknown> {
  const others = await cluster.query<{ name: string }>(
    `select datname as name from pg_database where not datistemplate and datname <> 'postgres'`,
  );
  const databases = ['postgres', ...others.map(({ name }) => name)];
  return Object.fromEntries(
    await Promise.all(databases.map(async (name) => [name, await fingerprint(cluster, name)] as const)),
  );
}

describe('an incremental backup that cannot be gone on with is begun anew', () => {
  test('for another type is asked for, its WAL is lost, or its parent', async () => {
    await using archived = await archivedCluster(byPages(15, false));
    const { cluster, repository } = archived;
    await cluster.start();
    await cluster.query(`create table t ${filledWith(60_000, 'old')}`);
    await backUp(cluster, archived.config);
    const interrupted = async (): Promise<string> => {
      await cluster.query(`update t set v = 'changed ' || i where i < 40000`);
      return await interruptedBackup(archived, 2, [...INCREMENTAL, '--max-rate', '10M']);
    };

    const first = await interrupted();
    const full = await beginsAnew(archived, first, {
      flags: ['--type', 'full'],
      why: /it is an incremental one, and a full one is asked for/,
      type: 'full',
    });
    const second = await interrupted();
    await rm(segmentPath(repository, await archiveEverything(cluster)));
    const why = /its WAL is not whole: file:\/\/\S+ lacks 0\w{23}/;
    const next = await beginsAnew(archived, second, { flags: INCREMENTAL, why, type: 'incremental' });
    expect(await recordOf(archived, next)).toMatchObject({ parent: full });

    const third = await interrupted();
    await rm(join(backupFolder(archived, next), 'backup.json'));
    const last = await beginsAnew(archived, third, {
      flags: ['--type', 'auto'],
      why: new RegExp(`backup ${next}, which it builds on, is missing`),
      type: 'incremental',
    });
    expect(await recordOf(archived, last)).toMatchObject({ parent: full });
  });

  test('for the WAL summaries have gone', async () => {
    await using archived = await archivedCluster({ ...bySummaries(17, false), checksums: false });
    const { cluster } = archived;
    await cluster.start();
    await cluster.query(`create table t ${filledWith(60_000, 'old')}`);
    await backUp(cluster, archived.config);
    await cluster.query(`update t set v = 'changed ' || i where i < 40000`);
    const id = await interruptedBackup(archived, 2, [...INCREMENTAL, '--max-rate', '2M']);
    await cluster.runOk(['sh', '-c', 'rm -f "$1"/*.summary', 'sh', join(cluster.dataDir, 'pg_wal/summaries')]);
    const why = /there is no WAL summary from \S+ of timeline 1 on/;
    await beginsAnew(archived, id, { flags: ['--type', 'auto'], why, type: 'full' });
  });
});

test.runIf(LONG)('an incremental backup from a standby that was killed is gone on with', async () => {
  await using archived = await archivedCluster({ ...bySummaries(18, false), segmentMb: 1 });
  const { cluster: primary, config } = archived;
  await primary.start();
  await primary.query(`create table t ${filledWith(60_000, 'old')}; create table dropped ${filledWith(9000, 'x')}`);
  const restore_command = await restoreCommand({ config });
  await using standby = await makeStandby(primary, { streaming: true, settings: { restore_command } });
  await standby.start();
  const full = await backUp(primary, config);
  await primary.query(`update t set v = 'changed ' || i where i < 40000`);
  const settle = async (): Promise<void> => {
    await primary.query('checkpoint');
    await waitUntilCaughtUp(standby, primary);
    await standby.query('checkpoint');
  };
  await settle();
  const id = await interruptedBackup({ ...archived, cluster: standby }, 2, [...INCREMENTAL, '--max-rate', '2M']);
  await primary.query(
    `drop table dropped; update t set v = 'newer' where i % 7 = 0; create table added as select 1 as i`,
  );
  await settle();
  const { stdout, stderr } = await walholdOk(standby, config, resume(standby, INCREMENTAL));
  expect(stdout).toBe(`${id}\n`);
  expect(stderr).not.toMatch(/warning|error/);
  expect(await recordOf(archived, id)).toMatchObject({ parent: full, settings: { attempts: '2' } });
  await recovers(archived, [full, id]);
});

/** A backup of this type is taken, and why the interrupted one is not gone on with is one line. */
async function beginsAnew(
  { cluster, config, ...archived }: Archived,
  interruptedId: string,
  { flags, why, type }: { flags: readonly string[]; why: RegExp; type: string },
): Promise<string> {
  const { stdout, stderr } = await walholdOk(cluster, config, resume(cluster, flags));
  const id = stdout.trim();
  expect(id).not.toBe(interruptedId);
  expect(await recordOf(archived, id)).toMatchObject({ type });
  const lines = stderr.split('\n').filter((one) => one.includes('cannot go on'));
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain(`warning: cannot go on with backup ${interruptedId}: `);
  expect(lines[0]).toMatch(why);
  return id;
}
