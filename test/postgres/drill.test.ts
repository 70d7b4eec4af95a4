import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MAJORS } from '../../scripts/find-postgres.ts';
import { asAccount, isRoot } from '../../scripts/server-user.ts';
import type { ListJson } from '../../src/commands/list.ts';
import type { StatusJson } from '../../src/commands/status-json.ts';
import { archivedCluster, backUp, walholdOk, walhold, type Archived } from '../support/archived-cluster.ts';
import { archiveEverything } from '../support/archiving.ts';
import { checkNamed, drill, drillCommand, scratchParent } from '../support/drill.ts';
import { blocksFor } from '../support/document-blocks.ts';
import { LONG } from '../support/effort.ts';
import { Guide } from '../support/guide.ts';
import { Place } from '../support/place.ts';
import { run } from '../support/run.ts';
import { isAlive, signalAll } from '../support/process-tree.ts';
import { filedWal, segmentPath } from '../support/repository-files.ts';
import { createTablespace } from '../support/tablespace.ts';
import { waitFor } from '../support/wait-for.ts';

async function json<T>({ cluster, config }: Archived, command: string): Promise<T> {
  return JSON.parse((await walholdOk(cluster, config, [command, '--json'])).stdout) as T;
}

/** ISO 8601 of when a row was committed, as that transaction's record has it. */
const commitOf = (i: number): string =>
  `select to_char(pg_xact_commit_timestamp(xmin) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') from t where i = ${i}`;

/** Everything that a private server must do without: it is in the cluster's settings and catalogs all the same. */
const TEMPTING = {
  track_commit_timestamp: 'on',
  shared_preload_libraries: 'pg_prewarm',
  autovacuum: 'on',
  max_connections: 40,
  max_prepared_transactions: 3,
};
const OTHER_PROCESSES = `select count(*)::int from pg_stat_activity
  where backend_type in ('logical replication launcher', 'archiver', 'autovacuum launcher')`;

describe('a drill of a cluster in Debian’s layout, with a subscription, a tablespace and preloaded libraries', () => {
  let archived: Archived;
  let id: string;
  let first: string;
  let last: string;
  let wal: string[];

  beforeAll(async () => {
    archived = await archivedCluster({ major: 15, settings: TEMPTING });
    const { cluster, config } = archived;
    await startDebian(archived);
    await createTablespace(cluster, 'fast');
    await cluster.query('create table t (i int) tablespace fast');
    await cluster.query('create table orders as select now() as placed_at from generate_series(1, 1001)');
    await cluster.query(`create subscription s connection 'host=/nonexistent' publication p with (connect = false)`);
    await cluster.query('alter subscription s enable');
    await cluster.query(`alter database postgres set session_preload_libraries = 'auto_explain'`);
    await cluster.query(`alter system set shared_preload_libraries = 'pg_prewarm'`);
    await cluster.query(`alter system set listen_addresses = '127.0.0.1'`);
    await waitFor(async () => (await cluster.value(OTHER_PROCESSES)) === 3, { what: 'its processes to run' });
    const argv = ['backup', '-d', cluster.connectionString, '-c', 'fast'];
    id = (await walholdOk(cluster, config, argv)).stdout.trim();
    // As a subscription does it; replay needs a place for the origin.
    await cluster.query(`select pg_replication_origin_create('elsewhere')`);
    await cluster.query(
      `select pg_replication_origin_session_setup('elsewhere'), pg_replication_origin_xact_setup('0/1', now());
       insert into orders values (now())`,
    );
    await cluster.query('insert into t values (1)');
    first = await cluster.value(commitOf(1));
    await cluster.query('insert into t values (2)');
    last = await cluster.value(commitOf(2));
    await archiveEverything(cluster);
    // A server that replays this takes its time for that of the last transaction, and nothing of it comes back.
    await cluster.query('begin; insert into t values (3); rollback');
    await archiveEverything(cluster);
    wal = await filedWal(archived.repository);
  });
  afterAll(async () => await archived?.[Symbol.asyncDispose]());

  test('recovers to the end, knows the last commit to the microsecond, and runs nothing that it should not', async () => {
    const { cluster } = archived;
    const sql = await cluster.place.file(
      'good.sql',
      `set work_mem = '1MB';
       select count(*) = 2, 'not looked at' from t; -- a semicolon; in a comment
       select current_setting('archive_mode') = 'off' and current_setting('listen_addresses') = '';
       select current_setting('shared_preload_libraries') = '' and current_setting('session_preload_libraries') = '';
       select count(*) = 1 from pg_subscription where subenabled;
       select 0 = (${OTHER_PROCESSES});
       select pg_tablespace_location(oid) like '%/scratch/walhold-drill-%' from pg_tablespace where spcname = 'fast';
       select current_setting('max_connections')::int >= 40 and current_setting('max_prepared_transactions')::int >= 3;`,
    );
    const result = await drill(archived, ['--sql', sql]);
    const { json: found, status, left, begun, ended } = result;
    expect(found.checks.filter(({ ok }) => !ok)).toEqual([]);
    expect(found).toMatchObject({ ok: true, backup: id, targetReached: true, lastCommitAt: last });
    expect(status).toBe(0);
    const names = found.checks.map(({ name }) => name);
    const sqlNames = [2, 3, 4, 5, 6, 7, 8].map((number) => `sql ${number}`);
    expect(names).toEqual(['restore', 'recovery', 'pg_amcheck', ...sqlNames, 'page_checksums']);
    expect(checkNamed(result, 'pg_amcheck')?.detail).toBe('tables and indexes of all databases are well');

    const lag = (at: number): number => (at - Date.parse(last)) / 1000;
    expect(found.rpoSeconds).toBeGreaterThan(lag(begun));
    expect(found.rpoSeconds).toBeLessThan(lag(ended) - (found.rtoSeconds ?? 0));
    const { rtoSeconds, restoreSeconds, replaySeconds } = found;
    expect(rtoSeconds).toBeCloseTo((restoreSeconds ?? 0) + (replaySeconds ?? 0), 2);
    expect(restoreSeconds).toBeGreaterThan(0);
    expect(replaySeconds).toBeGreaterThan(0);
    expect(rtoSeconds).toBeLessThan((ended - begun) / 1000);

    expect(left).toEqual([]);
    expect(await filedWal(archived.repository)).toEqual(wal);
    const summary = { ok: true, backup: id, rtoSeconds, rpoSeconds: found.rpoSeconds, failed: [] };
    expect(await json<ListJson>(archived, 'list')).toMatchObject({ lastDrill: summary, lastProven: summary });
    expect(await json<StatusJson>(archived, 'status')).toMatchObject({ lastDrill: summary, lastProven: summary });
    const text = (await walholdOk(cluster, archived.config, ['list'])).stdout;
    expect(text).toContain(`recovery was last proven at `);
    expect((await walholdOk(cluster, archived.config, ['verify'])).stderr).not.toContain('drill/');
  });

  test.runIf(isRoot())(
    'as root, recovers to a time, and its server is another’s: with --keep-dir it stays',
    async () => {
      const { cluster, config } = archived;
      const flags = ['--target-time', first, '--keep-dir'];
      const result = await drill(archived, flags, 'current user');
      expect(result.json).toMatchObject({ ok: true, targetReached: true, lastCommitAt: first });
      expect(checkNamed(result, 'recovery')?.detail).toMatch(/recovery stopping before commit of transaction \d+/);
      const [kept = ''] = result.left;
      const scratch = join(await scratchParent(archived), kept);
      for (const path of [scratch, join(scratch, 'data/PG_VERSION'), join(scratch, 'server.log')]) {
        expect((await stat(path)).uid).toBe(cluster.user.uid);
      }
      expect((await stat(scratch)).mode & 0o777).toBe(0o700);
      expect(await readFile(join(scratch, 'server.log'), 'utf8')).toContain('database system is shut down');
      // Nobody looks after it any more, and yet no later drill may take it for one that was left.
      expect(existsSync(join(scratch, 'processes'))).toBe(false);
      await rm(scratch, { recursive: true });
      expect((await walhold(cluster, config, ['list'])).stdout).toContain('recovery was last proven at');
    },
  );

  test('is as README.md shows it, with the programs that PATH leads to', async () => {
    const { cluster, repository, config } = archived;
    const [sql] = blocksFor(import.meta.url, 'sql');
    await cluster.place.file('drill.sql', sql?.text ?? '');
    const { stdout } = await new Guide(cluster, repository, config).run(blocksFor(import.meta.url, 'drill'));
    expect(stdout).toContain('recovery was last proven at ');
  });

  test.runIf(isRoot())('as root, refuses a place that the server’s account cannot enter', async () => {
    await using place = await Place.create('closed', 'current user');
    const argv = await drillCommand(archived, ['--scratch-dir', place.path]);
    const { status, stderr } = await run(argv, { env: archived.cluster.env });
    expect(stderr).toContain(`error: could not use ${place.path} for a scratch directory`);
    expect(status).toBe(2);
    expect(await readdir(place.path)).toEqual([]);
  });

  test('fails where a statement of --sql does not return true, and the repository remembers', async () => {
    const { cluster } = archived;
    const sql = await cluster.place.file(
      'bad.sql',
      'select true;\nselect count(*) = 2 from t;\nselect true where false;',
    );
    const before = await json<ListJson>(archived, 'list');
    const result = await drill(archived, ['--sql', sql, '--target-immediate']);
    expect(result.status).toBe(1);
    expect(result.json).toMatchObject({ ok: false, targetReached: true });
    const wrong = result.json.checks.filter(({ ok }) => !ok).map(({ name, detail }) => [name, detail]);
    expect(wrong).toEqual([
      ['sql 2', 'statement 2 returned false and not true'],
      ['sql 3', 'statement 3 returned no row'],
    ]);
    // No transaction ended while the backup was taken.
    const { backups, lastDrill, lastProven } = await json<ListJson>(archived, 'list');
    expect(result.json.lastCommitAt).toBe(backups[0]?.stoppedAt);
    expect(lastDrill).toMatchObject({ ok: false, failed: ['sql 2', 'sql 3'] });
    expect(lastProven).toEqual(before.lastProven);
  });

  test('works with a PATH that leads nowhere, and cleans up', async () => {
    const argv = await drillCommand(archived, ['--target-immediate']);
    const env = { ...archived.cluster.env, PATH: '/nonexistent' };
    const { status, stderr } = await archived.cluster.run(argv, { env, timeoutMs: 60_000 });
    expect(stderr).not.toContain('error');
    expect(status).toBe(0);
    expect(await readdir(await scratchParent(archived))).toEqual([]);
  });

  test('that is killed leaves no server and no files behind', async () => {
    const running = await runningDrill(archived);
    signalAll([-running.pid], 'SIGKILL');
    await waitFor(() => !isAlive(running.server), { what: 'the private server to be gone' });
    await waitFor(async () => (await readdir(running.parent)).length === 0, { what: 'the scratch to be gone' });
  });

  test('that is told to stop ends its server and removes its files before it ends', async () => {
    const running = await runningDrill(archived);
    signalAll([-running.pid], 'SIGTERM');
    expect(await running.ended).toBe(1);
    expect(isAlive(running.server)).toBe(false);
    expect(await readdir(running.parent)).toEqual([]);
  });

  test('whose keeper is killed cleans up by itself', async () => {
    const running = await runningDrill(archived);
    const [, keeper = 0] = running.keepers;
    signalAll([keeper], 'SIGKILL');
    await waitFor(() => !isAlive(keeper), { what: 'the keeper to be gone' });
    // It may have noticed by then.
    signalAll([-running.pid], 'SIGINT');
    expect(await running.ended).toBe(1);
    expect(isAlive(running.server)).toBe(false);
    expect(await readdir(running.parent)).toEqual([]);
  });

  test('that is killed together with its keeper is cleared away by the next', async () => {
    const { cluster } = archived;
    const running = await runningDrill(archived);
    signalAll([...running.keepers, -running.pid], 'SIGKILL');
    await waitFor(() => running.keepers.every((pid) => !isAlive(pid)), { what: 'the keeper to be gone' });
    expect(isAlive(running.server)).toBe(true);
    const place = join(archived.repository, 'drill');
    await cluster.runOk(['mkdir', '-p', place]);
    await cluster.runOk(['chmod', 'a-w', place]);
    const { json: found, status, stderr, left } = await drill(archived, ['--target-immediate']);
    await cluster.runOk(['chmod', 'u+w', place]);
    expect(stderr).toContain('warning: an earlier drill had left ');
    expect(isAlive(running.server)).toBe(false);
    expect(left).toEqual([]);
    expect(found.ok).toBe(true);
    // Where nothing can be stored that is a warning, and no more.
    expect(stderr).toContain('warning: could not store the result in ');
    expect(status).toBe(0);
  });
});

describe.each(LONG ? MAJORS : [17])('a drill of a damaged cluster of PostgreSQL %i', (major) => {
  test('names the page; then a segment that is not what was stored; then a file', async () => {
    await using archived = await archivedCluster({ major });
    const { cluster, config, repository } = archived;
    await cluster.start();
    await cluster.query('create table t as select i from generate_series(1, 10000) i');
    await cluster.query('checkpoint');
    const path = await cluster.value<string>(`select pg_relation_filepath('t')`);
    await overwrite(join(cluster.dataDir, path), 3 * 8192 + 5000);
    const id = await backUp(cluster, config, ['--allow-bad-pages']);
    const segment = await archiveEverything(cluster);
    // A socket's path has a limit, wherever the scratch directory lies.
    const deep = await cluster.place.folder('deep'.repeat(20));
    const page = await drill(archived, ['--scratch-dir', deep]);
    expect(page.json).toMatchObject({ ok: false, targetReached: true });
    expect(page.status).toBe(1);
    expect(checkNamed(page, 'page_checksums')).toMatchObject({
      ok: false,
      detail: expect.stringMatching(new RegExp(`^1 of \\d+ pages are damaged: block 3 of ${path}$`)) as string,
    });
    if (!existsSync(join(cluster.postgres.bin, 'pg_amcheck'))) {
      const detail = expect.stringMatching(/^not to be had: /) as string;
      expect(checkNamed(page, 'pg_amcheck')).toMatchObject({ ok: true, detail });
    }
    expect(await readdir(deep)).toEqual([]);

    await overwrite(segmentPath(repository, segment), -20);
    const wal = await drill(archived);
    expect(wal.json).toMatchObject({ ok: false, backup: id, targetReached: false, rtoSeconds: null, rpoSeconds: null });
    expect(wal.json.checks.map(({ name, ok }) => [name, ok])).toEqual([
      ['restore', true],
      ['recovery', false],
    ]);
    expect(checkNamed(wal, 'recovery')?.detail).toContain(segment);
    expect(wal.left).toEqual([]);

    await overwrite(join(repository, 'backup', id, 'part-2.tar.zst'), 100);
    const file = await drill(archived);
    expect(file.json).toMatchObject({ ok: false, targetReached: false, restoreSeconds: null });
    expect(file.json.checks.map(({ name, ok }) => [name, ok])).toEqual([['restore', false]]);
    expect(file.stderr).not.toContain('is incomplete');
    expect(file.left).toEqual([]);
    const { lastDrill, lastProven } = await json<ListJson>(archived, 'list');
    expect(lastDrill).toMatchObject({ ok: false, failed: ['restore'] });
    expect(lastProven).toBeNull();
  });
});

/** Damages a file at this place; below 0 it counts from its end. */
async function overwrite(path: string, position: number): Promise<void> {
  const { size, mode } = await stat(path);
  await chmod(path, mode | 0o200);
  const file = await open(path, 'r+');
  await file.write(Buffer.from('rotten'), 0, 6, position < 0 ? size + position : position);
  await file.close();
}

interface RunningDrill {
  /** Of the command, which leads a group. */
  pid: number;
  /** The private server, which takes queries by now. */
  server: number;
  /** The program itself, then what would end the server after its death. */
  keepers: number[];
  parent: string;
  /** The exit status. */
  ended: Promise<number | null>;
}

/** A drill whose --sql does not end. */
async function runningDrill(archived: Archived): Promise<RunningDrill> {
  const { cluster } = archived;
  const mark = join(cluster.place.path, 'asked');
  await rm(mark, { force: true });
  const sql = await cluster.place.file(
    'endless.sql',
    `copy (select 1) to '${mark}'; select pg_sleep(600) is not null;`,
  );
  const [program = '', ...argv] = await drillCommand(archived, ['--sql', sql, '--target-immediate']);
  const options = { ...asAccount(cluster.user), cwd: '/', env: cluster.env, detached: true, stdio: 'ignore' } as const;
  const child = spawn(program, argv, options);
  const ended = new Promise<number | null>((resolve) => child.once('exit', (status) => resolve(status)));
  await waitFor(() => existsSync(mark), { what: 'the drill to ask its server', deadlineMs: 120_000 });
  const parent = await scratchParent(archived);
  const [name = ''] = await readdir(parent);
  const numbers = async (file: string): Promise<number[]> =>
    (await readFile(join(parent, name, file), 'utf8'))
      .trim()
      .split('\n')
      .map((line) => Number(line.split(' ')[0]));
  const [server = 0] = await numbers('server.pid');
  return { pid: child.pid ?? 0, server, keepers: await numbers('processes'), parent, ended };
}

/** Starts a cluster whose configuration lies elsewhere, as Debian has it. */
async function startDebian({ cluster }: Archived): Promise<void> {
  const etc = await cluster.place.folder('etc');
  const move = `
    mv "$1/postgresql.conf" "$1/pg_hba.conf" "$1/pg_ident.conf" "$2/" &&
    echo "data_directory='$1'" >> "$2/postgresql.conf" && echo "hba_file='$2/pg_hba.conf'" >> "$2/postgresql.conf" &&
    echo "ident_file='$2/pg_ident.conf'" >> "$2/postgresql.conf"`;
  await cluster.runOk(['sh', '-c', move, 'sh', cluster.dataDir, etc]);
  const ctl = join(cluster.postgres.bin, 'pg_ctl');
  const options = `-k ${cluster.socketDir} -c listen_addresses= -c port=5432`;
  await cluster.runOk([ctl, 'start', '-D', etc, '-w', '-l', cluster.logFile, '-o', options]);
}
