import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { expect, describe, test } from 'vitest';
import { archivedCluster, walhold, type Archived } from '../support/archived-cluster.ts';
import { archiveEverything, failedPushes, readyFiles, switchWal } from '../support/archiving.ts';
import { CHOSEN_MAJORS } from '../support/effort.ts';
import type { Cluster, StartOptions } from '../support/cluster.ts';
import { archiveCommand } from '../support/hook.ts';
import { startLoad } from '../support/load.ts';
import { isAlive, processesWith, signalAll } from '../support/process-tree.ts';
import { filedSegments } from '../support/repository-files.ts';
import { makeStandby, waitUntilCaughtUp } from '../support/standby.ts';
import { expectTruth } from '../support/stored-truth.ts';
import { waitFor } from '../support/wait-for.ts';
import { workersOf } from '../support/workers.ts';
import type { StatusJson } from '../../src/commands/status-json.ts';

/** No checkpoint takes WAL away, so that what is stored can be compared with it. */
const KEPT = { max_wal_size: '4GB', min_wal_size: '2GB', checkpoint_timeout: '1h' };

/** A server whose messages go through a pipe to a process of its own, as in most installations. */
const WITH_LOGGER = ['sh', '-c', 'exec "$@" -c logging_collector=on', 'sh'];

/** A running cluster that has archived once, and its worker. */
async function served(original: Archived, options: StartOptions = {}): Promise<number> {
  const { cluster } = original;
  await cluster.start(options);
  await cluster.query('create table t (v text)');
  await archiveEverything(cluster);
  return await workerOf(original);
}

async function workerOf({ cluster }: Archived): Promise<number> {
  return await waitFor(
    () =>
      existsSync(join(cluster.dataDir, 'pg_wal/pgsql_tmp.walhold/push')) ? workersOf(cluster.dataDir)[0] : undefined,
    { what: 'the worker to serve', deadlineMs: 20_000 },
  );
}

/** Writes so many segments, each with something in it. */
async function write({ cluster }: Archived, segments: number): Promise<void> {
  for (let segment = 0; segment < segments; segment += 1) {
    await cluster.query('insert into t select md5(random()::text) from generate_series(1, 2000)');
    await switchWal(cluster);
  }
}

function openFiles(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      return [];
    }
  });
}

/** The pipes that somebody else has the other end of. */
function openPipes(pid: number): string[] {
  const pipes = openFiles(pid).filter((target) => target.startsWith('pipe:'));
  return pipes.filter((pipe) => pipes.filter((other) => other === pipe).length < 2);
}

/** Nothing of the server's, that is: a worker opens files itself now and then, for a moment. */
async function expectNothingOpen(pid: number, cluster: Cluster): Promise<void> {
  const isOther = (target: string): boolean =>
    target.startsWith(cluster.place.path) && !target.endsWith('/pgsql_tmp.walhold/worker.log');
  await waitFor(() => !openFiles(pid).some(isOther), { what: 'only the log to be open', deadlineMs: 5_000 });
  expect(openPipes(pid)).toEqual([]);
}

const parentOf = (pid: number): number =>
  Number(/^PPid:\s(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);

describe('with a worker', () => {
  test('a backlog is stored byte for byte, and the status tells who does it', async () => {
    await using original = await archivedCluster({ settings: KEPT });
    const { cluster, config, repository } = original;
    const pid = await served(original);
    await cluster.reconfigure({ archive_command: 'false' });
    await write(original, 30);
    await cluster.reconfigure({ archive_command: await archiveCommand({ config }) });
    await archiveEverything(cluster);
    expect(await expectTruth(cluster, repository, 1)).toBeGreaterThan(30);
    const { stdout } = await walhold(cluster, config, ['status', '--json', '-D', cluster.dataDir]);
    const { worker } = JSON.parse(stdout) as StatusJson;
    expect(worker).toMatchObject({ running: true, pid, push: { lastError: null }, fetch: null });
    expect(worker.push?.done).toBeGreaterThan(20);
  });

  test('the server stops as fast as ever, its logger with it, and the next one has another', async () => {
    await using original = await archivedCluster({ settings: KEPT });
    const { cluster } = original;
    const first = await served(original, { under: WITH_LOGGER });
    expect(openPipes(first)).toEqual([]);
    expect(openPipes(parentOf(first))).toEqual([]);
    expect(await cluster.stop('fast')).toBeLessThan(5_000);
    // Its look at its server comes every second.
    const left = (): number[] => processesWith('WALHOLD_TEST_CLUSTER', cluster.place.path);
    await waitFor(() => left().length === 0, { what: 'all to end', deadlineMs: 4_000 });
    await cluster.start({ under: WITH_LOGGER });
    await write(original, 1);
    await archiveEverything(cluster);
    expect(await workerOf(original)).not.toBe(first);
  });

  test('it ends with a postmaster that dies without a word', async () => {
    await using original = await archivedCluster({ settings: KEPT });
    const { cluster } = original;
    const pid = await served(original);
    await cluster.kill9('postmaster');
    await waitFor(() => !isAlive(pid), { what: 'the worker to end', deadlineMs: 4_000 });
    await cluster.start();
    await write(original, 1);
    await archiveEverything(cluster);
    expect(await workerOf(original)).not.toBe(pid);
  });

  test('nothing that the server has open stays open in it, nor in the shell above it', async () => {
    await using original = await archivedCluster({ settings: KEPT });
    const { cluster } = original;
    const pid = await served(original);
    await write(original, 3);
    await archiveEverything(cluster);
    for (const each of [pid, parentOf(pid)]) await expectNothingOpen(each, cluster);
    expect(openFiles(parentOf(pid)).filter((target) => target.startsWith('pipe:'))).toEqual([]);
  });

  test('an outage under load is seen by the server, and all is stored when it is over, without a restart', async () => {
    await using original = await archivedCluster({ settings: KEPT });
    const { cluster, repository } = original;
    const pid = await served(original);
    await cluster.runOk(['mv', repository, `${repository}-away`]);
    await write(original, 10);
    await waitFor(async () => (await failedPushes(cluster)) > 0, { what: 'the archiver to see it' });
    await cluster.runOk(['mv', `${repository}-away`, repository]);
    await archiveEverything(cluster, 120_000);
    expect(await expectTruth(cluster, repository, 1)).toBeGreaterThan(10);
    expect(workersOf(cluster.dataDir)).toEqual([pid]);
  });

  test('a fast stop during an outage stays within its seconds', async () => {
    await using original = await archivedCluster({ settings: KEPT });
    const { cluster, repository } = original;
    await served(original);
    await cluster.runOk(['mv', repository, `${repository}-away`]);
    await write(original, 5);
    await waitFor(async () => (await failedPushes(cluster)) > 0, { what: 'the archiver to see it' });
    expect(await cluster.stop('fast')).toBeLessThan(15_000);
    expect((await readyFiles(cluster)).length).toBeGreaterThan(0);
  });
});

/** Where nobody may make namespaces, nothing of this can be tried. */
const UNDER_PID_1 = ['unshare', '--user', '--map-current-user', '--pid', '--fork', '--mount-proc', '--kill-child'];
const canUnshare = spawnSync(UNDER_PID_1[0] ?? '', [...UNDER_PID_1.slice(1), 'true']).status === 0;

describe.skipIf(!canUnshare).each(CHOSEN_MAJORS)('where PostgreSQL %i is process 1', (major) => {
  test('a worker that is killed, or ends by itself, leaves the sessions of the server alone', async () => {
    await using original = await archivedCluster({ major, settings: KEPT });
    const { cluster, repository } = original;
    await cluster.start({ under: UNDER_PID_1 });
    await cluster.query('create table t (v text)');
    const client = await cluster.connect();
    await using load = await startLoad(cluster, { clients: 2, payloadBytes: 2000, pauseMs: 2 });
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    for (const signal of ['SIGKILL', 'SIGTERM', 'SIGKILL', 'SIGABRT'] as const) {
      await switchWal(cluster);
      const pid = await workerOf(original);
      await switchWal(cluster);
      // What the server has open: tables, its log, WAL.
      await expectNothingOpen(pid, cluster);
      await expectNothingOpen(parentOf(pid), cluster);
      signalAll([pid], signal);
      await waitFor(() => !isAlive(pid), { what: 'the worker to end' });
    }
    // Whoever lost a connection does not know of its last row.
    expect((await load.stop()).uncertain).toEqual([]);
    await archiveEverything(cluster);
    expect((await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows).toEqual(rows);
    expect(await cluster.logText()).not.toMatch(/terminat(ed|ing) (by|any other)|reinitializing/);
    expect(await expectTruth(cluster, repository, 1)).toBeGreaterThan(8);
  });
});

test('a server that was promoted stores by itself what it had streamed and its primary never archived', async () => {
  // As the sample advises: else the checkpoint after the promotion may be quicker than the worker.
  await using original = await archivedCluster({ settings: { ...KEPT, wal_keep_size: '256MB' } });
  const { cluster: primary, repository } = original;
  await primary.start();
  await primary.query('create table t (v text)');
  await archiveEverything(primary);
  await using standby = await makeStandby(primary, { streaming: true });
  await primary.stop('fast');
  // One that lives on would store for a moment what the archiver does not ask for.
  await waitFor(() => workersOf(primary.dataDir).length === 0, { what: 'the worker to end with its server' });
  await primary.configure({ archive_command: 'false' });
  await primary.start();
  await standby.start();
  await primary.query('insert into t select md5(random()::text) from generate_series(1, 2000)');
  const streamed = await switchWal(primary);
  await waitUntilCaughtUp(standby, primary);
  await primary.kill9();
  expect(await filedSegments(repository)).not.toContain(streamed);
  await standby.promote();
  await archiveEverything(standby);
  const isStored = async (): Promise<boolean> => (await filedSegments(repository)).includes(streamed);
  await waitFor(isStored, { what: `${streamed} to be stored`, deadlineMs: 90_000 });
  const log = join(standby.dataDir, 'pg_wal/pgsql_tmp.walhold/worker.log');
  await waitFor(() => readFileSync(log, 'utf8').includes('that this server had and some repository lacked'), {
    what: 'the worker to say so',
  });
});
