import { readFile, rm, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { ListJson } from '../../src/commands/list.ts';
import type { PlanJson } from '../../src/commands/restore/plan-report.ts';
import type { StatusJson } from '../../src/commands/status-json.ts';
import { archivedCluster, backUp, walhold, type Archived } from '../support/archived-cluster.ts';
import { archiveEverything, switchWal } from '../support/archiving.ts';
import type { Cluster } from '../support/cluster.ts';
import { drill } from '../support/drill.ts';
import { readExposition } from '../support/exposition.ts';
import { archiveCommand, writeConfig } from '../support/hook.ts';
import { segmentEnd, segmentPath } from '../support/repository-files.ts';
import { waitFor } from '../support/wait-for.ts';

async function status(
  { cluster, config }: Archived,
  ...flags: string[]
): Promise<StatusJson & { exit: number | null; stderr: string }> {
  const result = await walhold(cluster, config, ['status', '--json', ...flags]);
  if (result.stdout === '') throw new Error(result.stderr);
  return { ...(JSON.parse(result.stdout) as StatusJson), exit: result.status, stderr: result.stderr };
}

const lsnOf = (text: string): bigint => {
  const [high = '0', low = '0'] = text.split('/');
  return (BigInt(`0x${high}`) << 32n) + BigInt(`0x${low}`);
};

/** As if nothing had been written for so long. */
async function silence(cluster: Cluster, seconds: number): Promise<void> {
  const at = Date.now() / 1000 - seconds;
  for (const name of await cluster.walFiles()) {
    if (/^[0-9A-F]{24}$/.test(name)) await utimes(join(cluster.dataDir, 'pg_wal', name), at, at);
  }
}

/** The age at `now` of what happened right before `moment` (ms): a connection and a call lie between. */
function expectAge(seconds: number | null, moment: number, now: string): void {
  const age = (Date.parse(now) - moment) / 1000;
  expect(seconds).toBeGreaterThanOrEqual(Math.floor(age));
  expect(seconds).toBeLessThanOrEqual(age + 10);
}

describe('status', () => {
  test('tells how much WAL is not safe: to the byte with a connection, to the segment without', async () => {
    await using archived = await archivedCluster();
    const { cluster } = archived;
    await cluster.start();
    const stored = await archiveEverything(cluster);
    const connection = ['-D', cluster.dataDir, '-d', cluster.connectionString];
    await cluster.query('create table t as select generate_series(1, 1000) i');
    const lsn = lsnOf(await cluster.value<string>('select pg_current_wal_lsn()::text'));
    const result = await status(archived, ...connection);
    expect(result).toMatchObject({ exit: 0, readyFiles: 0, oldestReadySeconds: 0, gaps: [], lastBackup: null });
    expect(result.lastStored?.name).toBe(stored);
    // The server may write a little by itself between the two looks.
    expect(result.rpoBytes).toBeGreaterThanOrEqual(Number(lsn - segmentEnd(stored, 1)));
    expect(result.rpoBytes).toBeLessThan(Number(lsn - segmentEnd(stored, 1)) + 100_000);
    expect(result.rpoSeconds).toBeGreaterThanOrEqual(0);
    expect(result.rpoSeconds).toBeLessThan(120);

    expect(await status(archived, '-D', cluster.dataDir)).toMatchObject({ rpoBytes: 1024 * 1024 });
    expect(await status(archived, '-d', cluster.connectionString)).toMatchObject({ readyFiles: 0 });
  });

  test('counts what waits, keeps the last error, and is at ease again once all is stored', async () => {
    await using archived = await archivedCluster({ walhold: { push_ahead: 0 } });
    const { cluster, config } = archived;
    await cluster.start();
    await archiveEverything(cluster);
    const connection = ['-D', cluster.dataDir, '-d', cluster.connectionString];
    await cluster.runOk(['mv', archived.repository, `${archived.repository}-away`]);
    await silence(cluster, 3600);
    await cluster.query('create table lost as select 1 as i');
    const committed = Date.now();
    const [first] = [await switchWal(cluster), await switchWal(cluster)];
    const failing = await waitFor(
      async () => {
        const found = await status(archived, ...connection).catch(() => undefined);
        return found?.lastErrors.push === null ? undefined : found;
      },
      { what: 'a push to fail', deadlineMs: 60_000 },
    );
    expect(failing).toMatchObject({
      readyFiles: 2,
      rpoFrom: 'archiver',
      exit: 1,
      lastErrors: { push: { code: 'store-gone' } },
      repositories: [{ repository: 1, ok: false }],
    });
    expect(failing.stderr).toContain('no repository could be read');
    expect(failing.stderr).toContain(archived.repository);
    const lsn = lsnOf(await cluster.value<string>('select pg_current_wal_lsn()::text'));
    const begin = segmentEnd(first, 1) - 1024n * 1024n;
    expect(failing.rpoBytes).toBeGreaterThanOrEqual(2 * 1024 * 1024);
    expect(failing.rpoBytes).toBeLessThanOrEqual(Number(lsn - begin));
    expectAge(failing.rpoSeconds, committed, failing.at);
    const byServer = await status(archived, '-d', cluster.connectionString);
    expect(byServer).toMatchObject({
      rpoFrom: 'archiver',
      readyFiles: 2,
      exit: 1,
      rpoBytes: expect.any(Number) as number,
    });
    // As if the outage were ten minutes old.
    const ready = join(cluster.dataDir, 'pg_wal/archive_status', `${first}.ready`);
    const since = Date.parse(failing.at) - 600_000;
    await utimes(ready, since / 1000, since / 1000);
    const later = await status(archived, ...connection);
    expectAge(later.oldestReadySeconds, since, later.at);
    expectAge(later.rpoSeconds, committed, later.at);

    // While it is looked at nobody stores anything but what was on its way: one of the two.
    await cluster.reconfigure({ archive_command: 'false' });
    await cluster.runOk(['mv', `${archived.repository}-away`, archived.repository]);
    const lagging = await status(archived, ...connection);
    expect(lagging.rpoFrom).toBe('repositories');
    expect(lagging.rpoBytes).toBeGreaterThanOrEqual(1024 * 1024);
    // Woken by the configuration, the archiver does not wait out its minute.
    await cluster.reconfigure({ archive_command: await archiveCommand({ config, flags: ['--compress-level', '2'] }) });
    await archiveEverything(cluster, 120_000);
    const after = await status(archived, ...connection);
    expect(after).toMatchObject({ readyFiles: 0, exit: 0, lastErrors: { push: null } });
    expect(after.rpoBytes).toBeLessThan(1024 * 1024);
  }, 300_000);

  test('counts from the newest backup, so that an old hole does not matter for ever', async () => {
    await using archived = await archivedCluster();
    const { cluster, config, repository } = archived;
    await cluster.start();
    await archiveEverything(cluster);
    const hole = await archiveEverything(cluster);
    const last = await archiveEverything(cluster);
    await rm(segmentPath(repository, hole));
    const connection = ['-D', cluster.dataDir, '-d', cluster.connectionString];
    const before = await status(archived, ...connection);
    expect(before.gaps).toEqual([{ timeline: 1, first: hole, last: hole }]);
    const lsn = lsnOf(await cluster.value<string>('select pg_current_wal_lsn()::text'));
    expect(before.rpoBytes).toBeGreaterThanOrEqual(Number(lsn - segmentEnd(hole, 1)) + 1024 * 1024);
    expect(before.lastStored?.name).toBe(last);

    const id = await backUp(cluster, config);
    await archiveEverything(cluster);
    const after = await status(archived, ...connection);
    expect(after.rpoBytes).toBeLessThan(1024 * 1024);
    expect(after.lastBackup).toMatchObject({ id, type: 'full', parent: null, encrypted: false, lockedUntil: null });
    expect(after.windows).toHaveLength(1);

    const listed = JSON.parse((await walhold(cluster, config, ['list', '--json'])).stdout) as ListJson;
    expect(listed.backups).toEqual([after.lastBackup]);
    expect(listed.windows).toEqual(after.windows);
    const [window] = listed.windows;
    expect(window?.from).toBe(after.lastBackup?.stoppedAt);
    expect(Date.parse(window?.to ?? '')).toBeGreaterThanOrEqual(Date.parse(window?.from ?? ''));
  });

  test('knows the age of a commit after a long silence, however the server is named', async () => {
    await using archived = await archivedCluster();
    const { cluster } = archived;
    await cluster.start();
    const stored = await archiveEverything(cluster);
    await silence(cluster, 3600);
    await cluster.query('create table t as select 1 as i');
    const committed = Date.now();
    for (const named of [
      ['-D', cluster.dataDir],
      ['-d', cluster.connectionString],
      ['-D', cluster.dataDir, '-d', cluster.connectionString],
    ]) {
      const found = await status(archived, ...named);
      expect(found, named.join(' ')).toMatchObject({ exit: 0, readyFiles: 0, rpoFrom: 'repositories' });
      expect(found.lastStored?.name).toBe(stored);
      expectAge(found.rpoSeconds, committed, found.at);
    }
  });

  test('is in metrics_file after a backup and a check, with what a drill has shown', async () => {
    await using archived = await archivedCluster();
    const { cluster, repository } = archived;
    await cluster.start();
    await archiveEverything(cluster);
    const metrics = join(cluster.place.path, 'walhold.prom');
    const config = await writeConfig(
      cluster,
      { repo: `file://${repository}`, jobs: 2, metrics_file: metrics },
      'm.conf',
    );
    const figures = async (): Promise<Record<string, number | undefined>> => {
      const families = [...readExposition(await readFile(metrics, 'utf8')).values()];
      return Object.fromEntries(families.map(({ name, samples }) => [name, samples[0]?.value]));
    };
    const worker = await waitFor(
      async () => {
        const found = (await status(archived, '-D', cluster.dataDir)).worker;
        return found.push === null ? undefined : found;
      },
      { what: 'the worker to say that it runs', deadlineMs: 60_000 },
    );
    expect(worker).toMatchObject({
      running: true,
      fetch: null,
      pid: expect.any(Number) as number,
      push: { lastError: null },
    });
    const begun = Date.now();
    await backUp(cluster, config);
    const backedUp = await figures();
    expect(backedUp).toMatchObject({
      walhold_backups: 1,
      walhold_store_up: 1,
      walhold_gaps: 0,
      walhold_ready_files: 0,
    });
    const ended = backedUp['walhold_last_backup_timestamp_seconds'];
    expect(ended).toBeGreaterThanOrEqual(begun / 1000);
    expect(ended).toBeLessThanOrEqual(Date.now() / 1000);
    expect(backedUp['walhold_last_backup_size_bytes']).toBeGreaterThan(20_000_000);
    expect(backedUp).not.toHaveProperty('walhold_last_check_ok');
    expect(backedUp).toMatchObject({ walhold_worker_up: 1, walhold_push_failing: 0 });
    expect(backedUp['walhold_worker_files_total']).toBeGreaterThanOrEqual(worker.push?.done ?? NaN);

    const connection = ['-D', cluster.dataDir, '-d', cluster.connectionString];
    const checked = await walhold(cluster, config, ['check', ...connection]);
    expect(await figures()).toMatchObject({ walhold_last_check_ok: checked.status === 0 ? 1 : 0, walhold_backups: 1 });

    const drilled = await drill({ ...archived, config });
    const after = await figures();
    expect(after).toMatchObject({
      walhold_last_drill_ok: 1,
      walhold_last_drill_rto_seconds: drilled.json.rtoSeconds,
      walhold_last_drill_rpo_seconds: drilled.json.rpoSeconds,
      walhold_backups: 1,
    });
    expect(after['walhold_last_proven_timestamp_seconds']).toBe(after['walhold_last_drill_timestamp_seconds']);

    const plan = await walhold(cluster, config, ['restore', '--plan', '--json']);
    const { estimate } = JSON.parse(plan.stdout) as PlanJson;
    // Of the same backup, and no more WAL than there was, or a little: what the drill itself took.
    expect(estimate?.restoreSeconds).toBeCloseTo(drilled.json.restoreSeconds ?? -1, 0);
    expect(estimate?.basis.drill).toMatch(/^drill\/\d{8}T\d{6}Z\.json$/);
  });

  test('works without a server, and speaks to Prometheus', async () => {
    await using archived = await archivedCluster();
    const { cluster, config } = archived;
    await cluster.start();
    await archiveEverything(cluster);
    await cluster.query('create table t as select 1 as i');
    const far = await walhold(cluster, config, ['status', '--json'], { cwd: '/' });
    expect(JSON.parse(far.stdout)).toMatchObject({ rpoBytes: null, rpoSeconds: null, readyFiles: null, gaps: [] });
    const text = await walhold(cluster, config, ['status', '-D', cluster.dataDir, '--prometheus']);
    expect(readExposition(text.stdout).get('walhold_rpo_bytes')?.samples).toEqual([
      { labels: { archive: `file://${archived.repository}` }, value: 1024 * 1024 },
    ]);
    const people = await walhold(cluster, config, ['status', '-D', cluster.dataDir]);
    expect(people.stdout).toContain('not yet safe:');
    expect(people.status).toBe(0);
  });
});
