import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { findPostgres } from '../../scripts/find-postgres.ts';
import {
  archivedCluster,
  backUp,
  emptyCluster,
  restored,
  walhold,
  walholdOk,
  type Archived,
} from '../support/archived-cluster.ts';
import { archiveEverything } from '../support/archiving.ts';
import { recordOf } from '../support/backup-folder.ts';
import type { Cluster } from '../support/cluster.ts';
import { LONG } from '../support/effort.ts';
import { fingerprint, type TableFingerprint } from '../support/fingerprint.ts';
import { checkAllPages } from '../support/page-check.ts';
import { startInVain } from '../support/recovery.ts';
import { createTablespace } from '../support/tablespace.ts';

const { hasClients } = await findPostgres();

/** What lies at the end of a backup. */
interface Moment {
  id: string;
  lsn: string;
  content: Record<string, TableFingerprint>;
}

test.runIf(hasClients)(
  'every backup of a chain comes back, sound in all its pages, and recovers to any moment',
  async () => {
    await using archived = await archivedCluster();
    const { cluster, config } = archived;
    await cluster.start();
    const folder = await createTablespace(cluster, 'fast');
    for (const sql of FIRST) await cluster.query(sql);
    const moments: Moment[] = [await takeMoment(cluster, config)];
    for (const statements of [SECOND, THIRD]) {
      for (const sql of statements) await cluster.query(sql);
      moments.push(await takeMoment(cluster, config, ['--type', 'incremental']));
    }
    for (const sql of LAST) await cluster.query(sql);
    await archiveEverything(cluster);
    const final = await recoverable(cluster);
    for (const { id } of moments.slice(1)) expect(namesOf(await recordOf(archived, id))).toContain('INCREMENTAL.');

    // The full one by itself is what all other restores bring back.
    for (const { id, lsn, content } of LONG ? moments : moments.slice(1)) {
      await using copy = await restoredTo(archived, folder, { id, lsn });
      await requireSound(copy);
      await copy.start();
      await copy.waitUntilPromoted();
      expect(await fingerprint(copy), id).toEqual(content);
      await requireConsistent(copy);
    }

    await using newest = await emptyCluster(cluster, 'newest');
    await walholdOk(cluster, config, [
      'restore',
      '-D',
      newest.dataDir,
      '-T',
      `${folder}=${join(newest.place.path, 'space')}`,
    ]);
    expect(await readFile(join(newest.dataDir, 'backup_label'), 'utf8')).not.toMatch(/INCREMENTAL/);
    await newest.start();
    await newest.waitUntilPromoted();
    expect(await fingerprint(newest)).toEqual(final);
    await requireConsistent(newest);
  },
);

/** What differs between majors: how changes are found, the label's lines, and the files that a server keeps. CI does both ends, and in resume 18 by pages. */
const WAYS: readonly { major: number; changes: 'page-lsn' | 'wal-summaries'; inCi?: boolean }[] = [
  { major: 13, changes: 'page-lsn', inCi: true },
  { major: 17, changes: 'page-lsn' },
  { major: 17, changes: 'wal-summaries' },
  { major: 18, changes: 'wal-summaries', inCi: true },
];

describe.each(WAYS)(
  'a chain of PostgreSQL $major, its changes found by $changes',
  ({ major, changes, inCi = LONG }) => {
    test.runIf(inCi)('comes back', async () => {
      const settings = changes === 'wal-summaries' ? { summarize_wal: true } : {};
      await using archived = await archivedCluster({ major, settings });
      const { cluster, config } = archived;
      await cluster.start();
      const folder = await createTablespace(cluster, 'fast');
      for (const sql of TABLES) await cluster.query(sql);
      const moments: Moment[] = [await takeMoment(cluster, config)];
      for (const statements of [SECOND, THIRD]) {
        for (const sql of statements) await cluster.query(sql);
        moments.push(await takeMoment(cluster, config, ['--type', 'incremental']));
      }
      for (const { id } of moments.slice(1)) {
        const record = await recordOf(archived, id);
        expect(namesOf(record)).toContain('INCREMENTAL.');
        expect(record.settings).toMatchObject({ changes });
      }
      for (const { id, lsn, content } of moments.slice(1)) {
        await using copy = await restoredTo(archived, folder, { id, lsn });
        await requireSoundPages(copy);
        await copy.start();
        await copy.waitUntilPromoted();
        expect(await fingerprint(copy), id).toEqual(content);
      }
    });
  },
);

test('stops at a part of the full backup that was damaged, names it, and leaves nothing that starts', async () => {
  await using archived = await archivedCluster();
  const { cluster, config } = archived;
  await cluster.start();
  await cluster.query(`create table kept as select i, repeat(md5(i::text), 4) as t from generate_series(1, 20000) i`);
  const full = await backUp(cluster, config);
  await cluster.query('update kept set t = reverse(t) where i % 997 = 0');
  const id = await backUp(cluster, config, ['--type', 'incremental']);
  // All that holds files; the label, which is looked at before anything is written, lies in the last one.
  const { parts } = await recordOf(archived, full);
  for (const { name } of parts.slice(0, -1)) {
    const part = join(archived.repository, 'backup', full, name);
    const bytes = await readFile(part);
    for (let at = 500; at < bytes.length - 1000; at += 1000) bytes.writeUInt8(bytes.readUInt8(at) ^ 0xff, at);
    await writeFile(part, bytes);
  }

  await using copy = await emptyCluster(cluster, 'damaged');
  const { status, stderr } = await walhold(cluster, config, ['restore', '--backup', id, '-D', copy.dataDir]);
  expect(status).toBe(1);
  expect(stderr).toMatch(new RegExp(`could not trust .*/backup/${full}/part-\\d+\\.tar\\.zst`));
  const { status: ended, log, promoted } = await startInVain(copy);
  expect({ ended, promoted }).toEqual({ ended: expect.any(Number), promoted: false });
  expect(ended).not.toBe(0);
  expect(log).toMatch(/could not find the database system|pg_control/);
});

const TABLES = [
  'create table kept as select i, repeat(md5(i::text), 4) as t from generate_series(1, 20000) i',
  'create index on kept (i)',
  'create table cut as select i, md5(i::text) as t from generate_series(1, 20000) i',
  'create table dropped as select i from generate_series(1, 5000) i',
  'create table remade as select i from generate_series(1, 5000) i',
  'create table away tablespace fast as select i from generate_series(1, 5000) i',
  'create unlogged table unlogged as select i from generate_series(1, 5000) i',
  'vacuum (freeze, analyze)',
];
const FIRST = ['create extension pg_visibility', 'create extension amcheck', ...TABLES];
const SECOND = [
  'update kept set t = reverse(t) where i % 997 = 0',
  'delete from cut where i > 3000',
  'vacuum cut',
  'drop table dropped',
  'truncate remade',
  'insert into remade select generate_series(1, 100)',
  'create table fresh as select i from generate_series(1, 3000) i',
  'insert into away select generate_series(1, 300)',
];
const THIRD = [
  'insert into cut select i, md5(i::text) from generate_series(20001, 29000) i',
  'delete from kept where i % 1999 = 0',
  'vacuum kept',
  'vacuum full fresh',
  'alter table away set tablespace pg_default',
  'create database another template template1',
];
const LAST = ['insert into kept select i, md5(i::text) from generate_series(30001, 30500) i', 'vacuum kept'];

async function takeMoment(cluster: Cluster, config: string, flags: readonly string[] = []): Promise<Moment> {
  const id = await backUp(cluster, config, flags);
  const [row] = await cluster.query<{ lsn: string }>('select pg_current_wal_insert_lsn()::text as lsn');
  const content = await recoverable(cluster);
  await cluster.query("select pg_logical_emit_message(false, 'walhold', 'so that the target is passed')");
  await archiveEverything(cluster);
  return { id, lsn: row?.lsn ?? '', content };
}

/** Not started yet. `folder` is the tablespace's, which gets another one. */
async function restoredTo(
  { cluster, config }: Archived,
  folder: string,
  { id, lsn }: Pick<Moment, 'id' | 'lsn'>,
): Promise<Cluster> {
  const space = ['-T', `${folder}=${join(cluster.place.path, `space-${id}`)}`];
  const to = ['--target-lsn', lsn, '--target-action', 'promote', '--target-timeline', '1'];
  return await restored(cluster, config, ['--backup', id, ...to, ...space]);
}

/** What lies in unlogged tables is lost in every recovery. */
async function recoverable(cluster: Cluster): Promise<Record<string, TableFingerprint>> {
  return { ...(await fingerprint(cluster)), 'public.unlogged': { rows: 0, digest: '0' } };
}

/** Nothing has been replayed yet: every page has its checksum, and the files are those of the manifest. */
async function requireSound(copy: Cluster): Promise<void> {
  const verify = [join(copy.postgres.bin, 'pg_verifybackup'), '-n', '-i', 'tablespace_map', copy.dataDir];
  expect((await copy.runOk(verify)).stdout).toContain('backup successfully verified');
  await requireSoundPages(copy);
}

async function requireSoundPages(copy: Cluster): Promise<void> {
  const { pages, bad } = await checkAllPages(copy);
  expect(pages).toBeGreaterThan(500);
  expect(bad).toEqual([]);
}

/** Tables, indexes and visibility maps agree. */
async function requireConsistent(copy: Cluster): Promise<void> {
  const check = [
    join(copy.postgres.bin, 'pg_amcheck'),
    '--heapallindexed',
    '-h',
    copy.socketDir,
    '-U',
    'postgres',
    'postgres',
  ];
  const { status, stdout, stderr } = await copy.run(check);
  expect([status, stdout, stderr]).toEqual([0, '', '']);
  const wrong = await copy.query(
    `select c.oid::regclass from pg_class c where relkind in ('r', 't', 'm') and relpersistence = 'p'
      and (exists (select from pg_check_visible(c.oid)) or exists (select from pg_check_frozen(c.oid)))`,
  );
  expect(wrong).toEqual([]);
}

function namesOf({ parts }: Awaited<ReturnType<typeof recordOf>>): string {
  return JSON.stringify(parts);
}
