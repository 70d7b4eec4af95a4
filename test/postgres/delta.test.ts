import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { findPostgres } from '../../scripts/find-postgres.ts';
import { archivedCluster, backUp, walhold, walholdOk } from '../support/archived-cluster.ts';
import { archiveEverything } from '../support/archiving.ts';
import { blocksFor } from '../support/document-blocks.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { Guide } from '../support/guide.ts';
import { built } from '../support/hook.ts';
import { checkAllPages } from '../support/page-check.ts';
import { createTablespace } from '../support/tablespace.ts';
import { waitFor } from '../support/wait-for.ts';

const { hasClients } = await findPostgres();

interface Done {
  movedBytes: number;
  delta: Record<'kept' | 'written' | 'removed', { files: number; bytes: number }>;
}

test('a running server is never touched; stopped, its directory goes back in time, and little moves', async () => {
  await using archived = await archivedCluster({ walhold: { compress_level: 1 } });
  const { cluster, config } = archived;
  await cluster.start();
  await createTablespace(cluster, 'fast');
  for (const sql of FIRST) await cluster.query(sql);
  await backUp(cluster, config);
  for (const sql of SECOND) await cluster.query(sql);
  await backUp(cluster, config, ['--type', 'incremental']);
  const lsn = await cluster.value<string>('select pg_current_wal_insert_lsn()::text');
  const content = await fingerprint(cluster);
  for (const sql of THIRD) await cluster.query(sql);
  await archiveEverything(cluster);
  const argv = [
    'restore',
    '-D',
    cluster.dataDir,
    '--delta',
    '--json',
    '--target-lsn',
    lsn,
    '--target-action',
    'promote',
  ];
  const running = await walhold(cluster, config, argv);
  expect(running.status).toBe(1);
  expect(running.stderr).toMatch(/a server is running in/);
  // A copy of its directory links to its tablespaces, and has no server.
  const copy = join(cluster.place.path, 'copy');
  await cluster.runOk(['sh', '-c', 'cp -a "$1" "$2" && rm "$2/postmaster.pid"', 'sh', cluster.dataDir, copy]);
  const linked = await walhold(cluster, config, ['restore', '-D', copy, '--delta']);
  expect(linked.stderr).toMatch(/a running server \(process [0-9]+\) uses one of the tablespaces/);
  expect(linked.status).toBe(1);
  await cluster.stop();

  // Killed in the middle, the first time.
  const killed = `setsid "$1" --config "$2" restore -D "$3" --delta & walhold=$!
    while [ -e "$3/global/pg_control" ]; do kill -0 $walhold || exit 9; done; kill -9 -$walhold; wait $walhold; [ $? = 137 ]`;
  await cluster.runOk(['sh', '-c', killed, 'sh', await built('walhold'), config, cluster.dataDir], {
    timeoutMs: 120_000,
  });
  expect(existsSync(join(cluster.dataDir, 'global/pg_control'))).toBe(false);
  const start = await cluster.run([join(cluster.postgres.bin, 'postgres'), '-D', cluster.dataDir]);
  expect(start.status).not.toBe(0);

  const { stdout } = await walholdOk(cluster, config, argv);
  const { movedBytes, delta } = JSON.parse(stdout) as Done;
  expect(delta.kept.bytes).toBeGreaterThan(20_000_000);
  expect(movedBytes).toBeLessThan(delta.kept.bytes / 4);
  if (hasClients) {
    const verify = [join(cluster.postgres.bin, 'pg_verifybackup'), '-n', '-i', 'tablespace_map', cluster.dataDir];
    expect((await cluster.runOk(verify)).stdout).toContain('backup successfully verified');
  }
  expect((await checkAllPages(cluster)).bad).toEqual([]);
  await cluster.start();
  await cluster.waitUntilPromoted();
  expect(await fingerprint(cluster)).toEqual(content);
});

const FIRST = [
  'create table kept as select i, repeat(md5(i::text), 30) as t from generate_series(1, 20000) i',
  'create table changed as select i, md5(i::text) as t from generate_series(1, 5000) i',
  'create table dropped as select i from generate_series(1, 5000) i',
  'create table away tablespace fast as select i from generate_series(1, 5000) i',
  'vacuum (freeze, analyze)',
];
const SECOND = ['update changed set t = reverse(t) where i % 97 = 0', 'insert into away select generate_series(1, 3)'];
const THIRD = [
  'update changed set t = t || t',
  'drop table dropped',
  'truncate away',
  'create table young tablespace fast as select i from generate_series(1, 50000) i',
  'create database other',
];

describe.skipIf(!hasClients)('RECOVERY.md on the same server', () => {
  test('sets it back to a moment, in place', async () => {
    await using guide = await Guide.start({ name: 'delta' });
    const { cluster } = guide;
    await cluster.query('create table t as select generate_series(1, 5000) as i');
    await guide.backUp();
    await cluster.query('create table u as select 1 as i');
    const time = await cluster.value<string>('select clock_timestamp()::text');
    await cluster.query('drop table t');
    await archiveEverything(cluster);
    const [{ path } = { path: '' }] = await cluster.query<{ path: string }>(
      "select pg_relation_filepath('pg_proc') as path",
    );
    const { ino } = await stat(join(cluster.dataDir, path));
    await guide.run(blocksFor(import.meta.url, 'delta'), { '2026-11-22 17:45:00+00': time });
    expect((await stat(join(cluster.dataDir, path))).ino).toBe(ino);
    try {
      await waitFor(async () => (await guide.queryAt(5432, 'select 1 where not pg_is_in_recovery()')).length === 1, {
        what: 'the end of the recovery',
      });
      const count = 'select (select count(*)::int from t) as t, (select count(*)::int from u) as u';
      expect(await guide.queryAt(5432, count)).toEqual([{ t: 5000, u: 1 }]);
    } finally {
      await cluster.run([join(cluster.postgres.bin, 'pg_ctl'), '-D', cluster.dataDir, 'stop', '-m', 'immediate']);
    }
  });
});
