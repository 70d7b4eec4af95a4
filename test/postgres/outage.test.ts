import { readdir, rename } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { archivedCluster, type Archived, type ArchivedOptions } from '../support/archived-cluster.ts';
import { archiveEverything, failedPushes, readyFiles, switchWal, waitUntilArchived } from '../support/archiving.ts';
import type { Cluster } from '../support/cluster.ts';
import { CHOSEN_MAJORS, LONG, NEWEST } from '../support/effort.ts';
import { answers, asUsual, hangs, type Fault } from '../support/fake-s3-faults.ts';
import { FakeS3 } from '../support/fake-s3.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { built, restoreCommand } from '../support/hook.ts';
import { commandsOf } from '../support/killer.ts';
import { hasPromoted, recoverFromArchive, startInVain } from '../support/recovery.ts';
import { archivingToS3 } from '../support/s3-cluster.ts';
import type { Settings } from '../support/server-settings.ts';
import { copyOf, makeStandby, waitUntilReplayed } from '../support/standby.ts';
import { waitFor } from '../support/wait-for.ts';
import { workersOf } from '../support/workers.ts';

/** The defaults, scaled so that a test need not wait for them. */
const IMPATIENT = { request_timeout: '2s', push_timeout: '7s', unreachable_timeout: '1s', gap_grace: '1s' };

/** For promotions: as many seconds for each of their calls would be too many. */
const OUTAGE_BUDGET = { ...IMPATIENT, unreachable_timeout: '4s' };

const BUSY = answers(503, 'SlowDown');
const DENIED = answers(403, 'AccessDenied');

/** Of a recovery that is interrupted: enough for it to have begun, and too few for it to end. */
const REQUESTS_BEFORE_OUTAGE = 8;

describe.each(CHOSEN_MAJORS)('while no store answers, a standby of PostgreSQL %i', (major) => {
  // Each in CI on one of them: what the server does is the same.
  test.runIf(LONG || major === NEWEST)('is promoted within seconds when the store hangs', async () => {
    await using fake = await FakeS3.start();
    await using original = await archivedToFake(fake, { major, walhold: OUTAGE_BUDGET });
    await using standby = await streamingStandby(original);
    beginOutage(fake, hangs);
    // The budget of the outage, and four or five calls of at most 2 s each.
    expect(await standby.promote()).toBeLessThan(14_000);
    await standby.query('insert into t values (1000)');
    expect(fake.allFaultsMet).toBe(false);
    expect(await standby.logText()).toMatch(/walhold-fetch: error: going on without/);
  });

  test.runIf(LONG || major !== NEWEST)('is promoted within seconds when the share is not mounted', async () => {
    await using original = await archivedCluster({ major, walhold: OUTAGE_BUDGET });
    await using standby = await streamingStandby(original);
    await rename(original.repository, `${original.repository}.away`);
    expect(await standby.promote()).toBeLessThan(14_000);
    await standby.query('insert into t values (1000)');
    expect(await standby.logText()).toMatch(/walhold-fetch: error: going on without/);
  });
});

describe('while the store does not work', () => {
  test('a fast shutdown ends in bounded time, and nothing is lost', async () => {
    await using fake = await FakeS3.start();
    await using original = await archivedToFake(fake);
    const { cluster } = original;
    await cluster.start();
    await cluster.query('create table t as select 1 as i');
    await archiveEverything(cluster);
    const [worker] = await workerOf(cluster);
    beginOutage(fake, hangs);
    const names = [await switchWal(cluster), await switchWal(cluster), await switchWal(cluster)];
    await waitFor(async () => (await failedPushes(cluster)) > 0, { what: 'a push to fail', deadlineMs: 30_000 });
    expect(workersOf(cluster.dataDir)).toEqual([worker]);
    const { elapsedMs: startMs } = await cluster.runOk([await built('walhold-push'), '--version']);
    // The running call and up to four more, each of at most 5 s where a program starts at once.
    expect(await cluster.stop('fast')).toBeLessThan(28_000 + 5 * startMs);
    expect(await readyFiles(cluster)).toEqual(expect.arrayContaining(names.map((name) => `${name}.ready`)));
    fake.forget();
    await cluster.start();
    await archiveEverything(cluster);
    for (const name of names) await waitUntilArchived(cluster, name);
  });

  test('a standby that lives from the archive alone stays up, and catches up afterwards', async () => {
    await using fake = await FakeS3.start();
    await using original = await archivedToFake(fake);
    const { cluster: primary, config } = original;
    await primary.start();
    await primary.query('create table t as select generate_series(1, 100) as i');
    await archiveEverything(primary);
    const settings = { restore_command: await restoreCommand({ config }) };
    await using standby = await makeStandby(primary, { streaming: false, settings, env: primary.env });
    await standby.start();
    for (const [what, fault] of Object.entries({ hanging: hangs, denied: DENIED, ...(LONG ? { busy: BUSY } : {}) })) {
      await standby.markLog(what);
      beginOutage(fake, fault);
      await primary.query('insert into t select generate_series(1, 100)');
      const last = await switchWal(primary);
      const lsn = await primary.value<string>('select pg_current_wal_lsn()::text');
      await standby.waitForLog(/(going on without[\s\S]*){2}/, { after: what });
      expect(await standby.value('select pg_is_in_recovery()')).toBe(true);
      fake.forget();
      await waitUntilArchived(primary, last);
      await waitUntilReplayed(standby, lsn);
    }
    expect(await fingerprint(standby)).toEqual(await fingerprint(primary));
    expect(hasPromoted(await standby.logText())).toBe(false);
  });

  // That one that is too busy is waited for, too, is what cli/outages tells in CI.
  describe.each([
    { what: 'hangs', fault: hangs, inCi: true },
    { what: 'is too busy', fault: BUSY, inCi: LONG },
  ])('recovery waits while the store $what', ({ fault, inCi }) => {
    test.runIf(inCi)('and then comes to the end of the WAL', async () => {
      await using fake = await FakeS3.start();
      await using recovery = await interruptedRecovery(fake, fault);
      const { original, copy } = recovery;
      await copy.start({ until: 'nothing' });
      await copy.waitForLog(/walhold-fetch: warning: waiting for/);
      expect(hasPromoted(await copy.logText())).toBe(false);
      fake.forget();
      await copy.waitUntilPromoted();
      expect(await fingerprint(copy)).toEqual(await fingerprint(original.cluster));
    });
  });

  test('recovery that is refused its credentials stops, and goes on when it has them', async () => {
    await using fake = await FakeS3.start();
    await using recovery = await interruptedRecovery(fake, DENIED);
    const { original, copy } = recovery;
    expect(await startInVain(copy)).toMatchObject({ status: 1, promoted: false });
    fake.forget();
    await copy.start();
    await copy.waitUntilPromoted();
    expect(await fingerprint(copy)).toEqual(await fingerprint(original.cluster));
  });

  test('recovery that waits ends at once when it is told to, and leaves nothing behind', async () => {
    await using fake = await FakeS3.start();
    await using recovery = await interruptedRecovery(fake, hangs, { request_timeout: '60s' });
    const { copy } = recovery;
    await copy.start({ until: 'nothing' });
    await waitFor(() => fake.requests.length >= recovery.requestsBefore + REQUESTS_BEFORE_OUTAGE + 1, {
      what: 'the recovery to hang',
    });
    expect(commandsOf(copy, 'walhold-fetch')).not.toEqual([]);
    expect(await copy.stop('fast')).toBeLessThan(5_000);
    await waitFor(() => commandsOf(copy, 'walhold-fetch').length === 0, {
      what: 'the fetch to end',
      deadlineMs: 3_000,
    });
    expect(hasPromoted(await copy.logText())).toBe(false);
  });
});

describe('a share that is not mounted', () => {
  test.each([
    { what: 'is missing', empty: false },
    { what: 'is an empty directory', empty: true },
  ])('is neither a new repository nor an absence when its folder $what', async ({ empty }) => {
    await using original = await archivedCluster({ walhold: IMPATIENT });
    const { cluster, repository, config } = original;
    await cluster.start();
    await cluster.query('create table t as select generate_series(1, 100) as i');
    await archiveEverything(cluster);
    await using copy = await copyOf(cluster, { name: 'copy' });
    await cluster.query('insert into t select generate_series(1, 100)');
    await archiveEverything(cluster);

    await rename(repository, `${repository}.away`);
    if (empty) await cluster.place.folder('repository');
    const name = await switchWal(cluster);
    await cluster.waitForLog(/walhold-push: error: /);
    await waitFor(async () => (await failedPushes(cluster)) > 0, { what: 'the archiver to fail' });
    await recoverFromArchive(copy, { config });
    expect(await startInVain(copy)).toMatchObject({ status: 1, promoted: false });
    if (empty) expect(await readdir(repository)).toEqual([]);
    else await expect(readdir(repository)).rejects.toThrow('ENOENT');

    if (empty) await rename(repository, `${repository}.empty`);
    await rename(`${repository}.away`, repository);
    await archiveEverything(cluster); // wakes the archiver
    await waitUntilArchived(cluster, name);
    await copy.start();
    await copy.waitUntilPromoted();
    expect(await fingerprint(copy)).toEqual(await fingerprint(cluster));
  });
});

async function archivedToFake(fake: FakeS3, options: ArchivedOptions = {}): Promise<Archived> {
  fake.makeBucket('bucket');
  const { walhold, env } = archivingToS3(fake, 'bucket');
  return await archivedCluster({ ...options, env, walhold: { ...walhold, ...IMPATIENT, ...options.walhold } });
}

function beginOutage(fake: FakeS3, fault: Fault): void {
  fake.fail(fault, { times: Number.POSITIVE_INFINITY });
}

/** Starts the cluster with a table `t` and a standby that streams from it, and may restore from the archive too. */
async function streamingStandby({ cluster, config }: Archived): Promise<Cluster> {
  await cluster.start();
  await cluster.query('create table t as select generate_series(1, 100) as i');
  const last = await archiveEverything(cluster);
  expect(last).toMatch(/^00000001/);
  const settings = { restore_command: await restoreCommand({ config }) };
  const standby = await makeStandby(cluster, { streaming: true, settings, env: cluster.env });
  // What it asks for first is in the archive then: so it has a worker.
  await archiveEverything(cluster);
  await standby.start();
  const lsn = await cluster.value<string>('select pg_current_wal_flush_lsn()::text');
  await waitUntilReplayed(standby, lsn);
  await workerOf(standby);
  return standby;
}

async function workerOf({ dataDir }: Cluster): Promise<number[]> {
  const one = (): number[] | undefined => (workersOf(dataDir).length === 1 ? workersOf(dataDir) : undefined);
  return await waitFor(one, { what: 'the worker to be there', deadlineMs: 20_000 });
}

/** A copy of a cluster that will recover from the archive, and meets the fault after some files. */
async function interruptedRecovery(
  fake: FakeS3,
  fault: Fault,
  settings: Settings = {},
): Promise<{ original: Archived; copy: Cluster; requestsBefore: number } & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const original = stack.use(await archivedToFake(fake, { walhold: settings }));
  const { cluster, config } = original;
  await cluster.start();
  await cluster.query('create table t as select generate_series(1, 100) as i');
  await archiveEverything(cluster);
  const copy = stack.use(await copyOf(cluster, { name: 'copy', env: cluster.env }));
  for (let round = 0; round < 4; round += 1) {
    await cluster.query('insert into t select generate_series(1, 100)');
    await archiveEverything(cluster);
  }
  await recoverFromArchive(copy, { config });
  const requestsBefore = fake.requests.length;
  fake.fail(asUsual, { times: REQUESTS_BEFORE_OUTAGE });
  beginOutage(fake, fault);
  const all = stack.move();
  return { original, copy, requestsBefore, [Symbol.asyncDispose]: async () => await all.disposeAsync() };
}
