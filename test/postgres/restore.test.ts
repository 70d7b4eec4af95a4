import { existsSync } from 'node:fs';
import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
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
import { archiveEverything, switchWal } from '../support/archiving.ts';
import type { Cluster } from '../support/cluster.ts';
import { LONG } from '../support/effort.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { built, writeConfig } from '../support/hook.ts';
import { filedWal } from '../support/repository-files.ts';
import { makeStandby, waitUntilCaughtUp } from '../support/standby.ts';
import { createTablespace } from '../support/tablespace.ts';
import { waitFor } from '../support/wait-for.ts';

const { hasClients } = await findPostgres();

test('a cluster with tablespaces comes back into other places, and PostgreSQL finds every byte of it', async () => {
  await using archived = await archivedCluster();
  const { cluster, config } = archived;
  await cluster.start();
  const folders = [await createTablespace(cluster, 'fast'), await createTablespace(cluster, 'large')];
  await cluster.query('create table t tablespace fast as select generate_series(1, 5000) as i');
  await cluster.query('create unlogged table u tablespace large as select 1 as i');
  await cluster.query('create table v tablespace large as select generate_series(1, 5000) as i');
  await backUp(cluster, config);
  await cluster.query('insert into v select generate_series(1, 5000)');
  await archiveEverything(cluster);
  const content = await fingerprint(cluster);

  await using copy = await emptyCluster(cluster, 'copy');
  const places = folders.map((_, index) => join(copy.place.path, `space ${index}`));
  const mapped = folders.flatMap((folder, index) => ['-T', `${folder}=${places[index] ?? ''}`]);
  await walholdOk(cluster, config, ['restore', '-D', copy.dataDir, ...mapped]);
  if (copy.postgres.hasClients) {
    const verify = [join(copy.postgres.bin, 'pg_verifybackup'), '-n', '-i', 'tablespace_map', copy.dataDir];
    expect((await copy.runOk(verify)).stdout).toContain('backup successfully verified');
  }
  await copy.start();
  await copy.waitUntilPromoted();
  expect(await fingerprint(copy)).toEqual({ ...content, 'public.u': { rows: 0, digest: '0' } });
  const located = await copy.query<{ path: string }>(
    'select pg_tablespace_location(oid) as path from pg_tablespace where oid >= 16384 order by oid',
  );
  expect(located.map(({ path }) => path)).toEqual(places);
});

// In CI majors has the same of a cluster that was under load.
test.runIf(hasClients && LONG)(
  'what was restored and not started is what pg_verifybackup takes for a backup',
  async () => {
    await using archived = await archivedCluster();
    const { cluster, config } = archived;
    await cluster.start();
    await backUp(cluster, config);
    await using copy = await restored(cluster, config);
    const verify = await copy.runOk([join(copy.postgres.bin, 'pg_verifybackup'), '-n', copy.dataDir]);
    expect(verify.stdout).toContain('backup successfully verified');
  },
);

describe('after a promotion', () => {
  let failover: Promoted;
  beforeAll(async () => void (failover = await promotedWithPartial()));
  afterAll(async () => await failover?.[Symbol.asyncDispose]());

  test('the old timeline comes back, up to the last record of its partial segment', async () => {
    const { old, next, atPromotion, after } = failover;

    await using older = await restored(next, old.config, ['--target-timeline', '1']);
    const conf = await readFile(join(older.dataDir, 'postgresql.auto.conf'), 'utf8');
    expect(conf).toMatch(/recovery_target_timeline = '1'/);
    const partial = (await filedWal(old.repository)).find((name) => name.includes('.partial.')) ?? '';
    expect(conf).toContain(` --allow-gap ${partial.slice(0, 24)} %f %p'`);
    expect(await readdir(join(older.dataDir, 'pg_wal'))).toContain(partial.slice(0, 24));
    await older.start();
    await older.waitUntilPromoted();
    expect(await fingerprint(older)).toEqual(atPromotion);

    await using newer = await restored(next, old.config);
    await newer.start();
    await newer.waitUntilPromoted();
    expect(await fingerprint(newer)).toEqual(after);
  });

  test('a target in a partial segment is reached with it', async () => {
    const { old, next, midway } = failover;
    for (const flags of [
      ['--target-lsn', midway.lsn],
      ['--target-time', midway.time],
    ]) {
      await using copy = await restored(next, old.config, ['--target-timeline', '1', ...flags]);
      await copy.start();
      await copy.waitForLog(/pausing at the end of recovery/);
      expect(await copy.value('select count(*)::int from t')).toBe(midway.rows);
    }
  });
});

test('a restore that is killed leaves nothing that starts, and the next one says why', async () => {
  await using archived = await archivedCluster({ segmentMb: 16 });
  const { cluster, config } = archived;
  await cluster.start();
  await cluster.query(`create table t as select i, repeat(md5(i::text), 20) from generate_series(1, 60000) i`);
  await backUp(cluster, config);
  await using copy = await emptyCluster(cluster, 'killed');
  // The launcher and the program are one group of processes.
  const killed = `setsid "$1" --config "$2" restore -D "$3" & walhold=$!
    while [ ! -d "$3/base" ]; do kill -0 $walhold || exit 9; done; kill -9 -$walhold; wait $walhold; [ $? = 137 ]`;
  await cluster.runOk(['sh', '-c', killed, 'sh', await built('walhold'), config, copy.dataDir]);
  expect(existsSync(join(copy.dataDir, 'global/pg_control'))).toBe(false);

  const start = await copy.run([join(copy.postgres.bin, 'postgres'), '-D', copy.dataDir]);
  expect(start.status).not.toBe(0);
  const again = await walhold(cluster, config, ['restore', '-D', copy.dataDir]);
  expect(again.status).toBe(1);
  expect(again.stderr).toMatch(/holds what an earlier restore left when it did not end/);
  await copy.runOk(['rm', '-r', copy.dataDir]);
  await walholdOk(cluster, config, ['restore', '-D', copy.dataDir]);
  await copy.start();
  await copy.waitUntilPromoted();
  expect(await copy.value('select count(*)::int from t')).toBe(60_000);
});

test('a restored standby follows the archive, and streams when it is told from where', async () => {
  await using archived = await archivedCluster();
  const { cluster, config } = archived;
  await cluster.start();
  await cluster.query('create table t as select 1 as i');
  await backUp(cluster, config);
  await cluster.query('insert into t values (2)');
  await archiveEverything(cluster);
  await using standby = await restored(cluster, config, ['--standby']);
  await standby.configure({ hot_standby: 'on' });
  await standby.start();
  await waitFor(async () => (await standby.value<number>('select count(*)::int from t')) === 2, {
    what: 'the second row',
  });
  expect(await standby.value('select pg_is_in_recovery()')).toBe(true);
  await cluster.query('insert into t values (3)');
  await standby.configure({ primary_conninfo: cluster.connectionString });
  await standby.restart();
  await waitUntilCaughtUp(standby, cluster);
  expect(await standby.value('select count(*)::int from t')).toBe(3);
});

test('settings of an older recovery do not disturb, wherever they stand', async () => {
  await using archived = await archivedCluster();
  const { cluster, config } = archived;
  await cluster.configure({ recovery_target_name: 'never made', recovery_target_action: 'shutdown' });
  await cluster.configure({ recovery_target_name: 'another', restore_command: 'false' }, 'postgresql.auto.conf');
  await cluster.start();
  await cluster.query('create table t as select 1 as i');
  await backUp(cluster, config);
  const lsn = await cluster.value<string>('select pg_current_wal_insert_lsn()::text');
  await cluster.query('insert into t values (2)');
  await archiveEverything(cluster);
  await using copy = await restored(cluster, config, ['--target-lsn', lsn]);
  await copy.start();
  await copy.waitForLog(/pausing at the end of recovery/);
  expect(await copy.value('select count(*)::int from t')).toBe(1);
});

test('the server finds the repository as the restore did: by flags, by the environment, by an odd path', async () => {
  await using archived = await archivedCluster();
  const { cluster, config, repository } = archived;
  await cluster.start();
  await cluster.query('create table t as select 1 as i');
  await backUp(cluster, config);
  await cluster.query('insert into t values (2)');
  await archiveEverything(cluster);
  const odd = await writeConfig(cluster, { repo: `file://${repository}` }, "it's 100% odd.conf");
  const program = await built('walhold');
  const ways = [
    { argv: [program, '--repo', `file://${repository}`], env: {} },
    { argv: [program], env: { WALHOLD_REPO: `file://${repository}`, WALHOLD_GAP_GRACE: '1s' } },
    { argv: [program, '--config', odd], env: {} },
  ];
  // The first is written down like the last, as unit tests of the command show.
  for (const { argv, env } of LONG ? ways : ways.slice(1)) {
    await using copy = await emptyCluster(cluster, 'found');
    await cluster.runOk([...argv, 'restore', '-D', copy.dataDir], { env, timeoutMs: 120_000 });
    await copy.start();
    await copy.waitUntilPromoted();
    expect(await copy.value('select count(*)::int from t')).toBe(2);
  }
});

test.runIf(hasClients)('a cluster in Debian’s layout comes back with its configuration', async () => {
  await using archived = await archivedCluster();
  const { cluster, config } = archived;
  const etc = await cluster.place.folder('etc');
  const move = `
    mkdir "$2/conf.d" && mv "$1/postgresql.conf" "$1/pg_hba.conf" "$1/pg_ident.conf" "$2/" &&
    echo "data_directory='$1'" >> "$2/postgresql.conf" && echo "hba_file='$2/pg_hba.conf'" >> "$2/postgresql.conf" &&
    echo "ident_file='$2/pg_ident.conf'" >> "$2/postgresql.conf" && echo "include_dir='conf.d'" >> "$2/postgresql.conf" &&
    echo "work_mem='5MB'" > "$2/conf.d/mine.conf"`;
  await cluster.runOk(['sh', '-c', move, 'sh', cluster.dataDir, etc]);
  const ctl = join(cluster.postgres.bin, 'pg_ctl');
  const socket = ['-o', `-k ${cluster.socketDir}`];
  await cluster.runOk([ctl, 'start', '-D', etc, '-w', '-l', cluster.logFile, ...socket]);
  await cluster.query('create table t as select 1 as i');
  await walholdOk(cluster, config, ['backup', '-d', cluster.connectionString, '-c', 'fast']);
  await cluster.query('insert into t values (2)');
  await archiveEverything(cluster);
  await cluster.runOk([ctl, 'stop', '-D', cluster.dataDir, '-m', 'fast']);
  await cluster.runOk(['sh', '-c', 'rm -r "$1"/* "$2"', 'sh', etc, cluster.dataDir]);

  await using copy = await emptyCluster(cluster, 'debian');
  const { stderr } = await walholdOk(cluster, config, ['restore', '-D', copy.dataDir]);
  const command = /next: pg_ctl (.*)\n/.exec(stderr)?.[1] ?? '';
  // The very line that is shown, with this test's own socket.
  const line = `exec "$0" -l "$1" -w -o "-k $2" ${command}`;
  await copy.runOk(['sh', '-c', line, ctl, copy.logFile, copy.socketDir]);
  try {
    await copy.waitUntilPromoted().catch(() => undefined);
    await waitFor(async () => !(await copy.value<boolean>('select pg_is_in_recovery()')), { what: 'the promotion' });
    expect(await copy.value('select count(*)::int from t')).toBe(2);
    expect(await copy.value('show work_mem')).toBe('5MB');
    expect(await copy.value('show data_directory')).toBe(copy.dataDir);
    expect(await copy.value('show hba_file')).toBe(join(copy.dataDir, 'walhold_config', etc, 'pg_hba.conf'));
  } finally {
    await copy.run([ctl, 'stop', '-D', copy.dataDir, '-m', 'immediate']);
  }
});

test('a cluster that was promoted before it came here, and whose history file is nowhere, comes back', async () => {
  await using archived = await archivedCluster();
  const { cluster, config, repository } = archived;
  await cluster.configure({ archive_mode: 'off' });
  // With its own settings: those of initdb stand in pg_control until then.
  await cluster.start();
  await cluster.stop();
  await cluster.runOk(['touch', join(cluster.dataDir, 'standby.signal')]);
  await cluster.start();
  await cluster.promote();
  // The server itself needs the file until it has left the segment of the fork behind.
  await switchWal(cluster);
  await cluster.query('checkpoint');
  await cluster.stop();
  await cluster.runOk(['rm', join(cluster.dataDir, 'pg_wal/00000002.history')]);
  await cluster.configure({ archive_mode: 'on' });
  await cluster.start();
  await cluster.query('create table t as select 1 as i');
  await backUp(cluster, config);
  await cluster.query('insert into t values (2)');
  await archiveEverything(cluster);
  expect(await filedWal(repository)).not.toContain('00000002.history.zst');

  await using copy = await restored(cluster, config);
  await copy.start();
  await copy.waitUntilPromoted();
  expect(await copy.value('select count(*)::int from t')).toBe(2);
});

test('what a group may read stays so', async () => {
  await using archived = await archivedCluster();
  const { cluster, config } = archived;
  await cluster.runOk(['chmod', '-R', 'g+rX', cluster.dataDir]);
  await cluster.start();
  await backUp(cluster, config);
  await using copy = await restored(cluster, config);
  const modes = await Promise.all(['', 'base', 'PG_VERSION'].map((name) => stat(join(copy.dataDir, name))));
  expect(modes.map(({ mode }) => mode & 0o777)).toEqual([0o750, 0o750, 0o640]);
  await copy.start();
  expect(await copy.value('show data_directory_mode')).toBe('0750');
});

interface Promoted extends AsyncDisposable {
  old: Archived;
  next: Cluster;
  /** In the last, unfinished segment of timeline 1. */
  midway: { lsn: string; time: string; rows: number };
  atPromotion: Awaited<ReturnType<typeof fingerprint>>;
  after: Awaited<ReturnType<typeof fingerprint>>;
}

/** A standby that takes over in the middle of a segment, and archives that one as a partial. */
async function promotedWithPartial(): Promise<Promoted> {
  await using stack = new AsyncDisposableStack();
  const old = stack.use(await archivedCluster({ name: 'old' }));
  const primary = old.cluster;
  await primary.start();
  await primary.query('create table t as select generate_series(1, 500) as i');
  await backUp(primary, old.config);
  await archiveEverything(primary);
  const next = stack.use(await makeStandby(primary, { name: 'next', streaming: true }));
  await next.start();
  // The copy has ended segments. The primary must have archived them before it dies: the next one does that only at some checkpoint.
  await archiveEverything(primary);
  await primary.query('insert into t select generate_series(1, 500)');
  const rows = await primary.value<number>('select count(*)::int from t');
  const lsn = await primary.value<string>('select pg_current_wal_insert_lsn()::text');
  const time = await primary.value<string>('select clock_timestamp()::text');
  await primary.query('insert into t select generate_series(1, 500)');
  await waitUntilCaughtUp(next, primary);
  const atPromotion = await fingerprint(primary);
  await primary.kill9();
  await next.promote();
  await next.query('insert into t select generate_series(1, 100)');
  await switchWal(next);
  await archiveEverything(next);
  const after = await fingerprint(next);
  const all = stack.move();
  const dispose = async (): Promise<void> => await all.disposeAsync();
  return { old, next, midway: { lsn, time, rows }, atPromotion, after, [Symbol.asyncDispose]: dispose };
}
