import { rm } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import type { ListJson } from '../../src/commands/list.ts';
import type { StatusJson } from '../../src/commands/status-json.ts';
import { archivedCluster, backUp, walhold, type Archived } from '../support/archived-cluster.ts';
import { archiveEverything, switchWal } from '../support/archiving.ts';
import { archiveCommand } from '../support/hook.ts';
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
    expect(result).toMatchObject({ exit: 0, readyFiles: 0, oldestReadySeconds: null, gaps: [], lastBackup: null });
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
    await switchWal(cluster);
    await switchWal(cluster);
    const failing = await waitFor(
      async () => {
        const found = await status(archived, ...connection).catch(() => undefined);
        return found?.lastErrors.push === null ? undefined : found;
      },
      { what: 'a push to fail', deadlineMs: 60_000 },
    );
    expect(failing).toMatchObject({
      readyFiles: 2,
      rpoBytes: null,
      exit: 1,
      lastErrors: { push: { code: 'store-gone' } },
    });
    expect(failing.oldestReadySeconds).toBeGreaterThanOrEqual(0);
    expect(failing.stderr).toContain('no repository could be read');

    await cluster.runOk(['mv', `${archived.repository}-away`, archived.repository]);
    const lagging = await status(archived, ...connection);
    expect(lagging.rpoBytes).toBeGreaterThanOrEqual(2 * 1024 * 1024);
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

  test('works without a server, and speaks to Prometheus', async () => {
    await using archived = await archivedCluster();
    const { cluster, config } = archived;
    await cluster.start();
    await archiveEverything(cluster);
    const far = await walhold(cluster, config, ['status', '--json'], { cwd: '/' });
    expect(JSON.parse(far.stdout)).toMatchObject({ rpoBytes: null, rpoSeconds: null, readyFiles: null, gaps: [] });
    const text = await walhold(cluster, config, ['status', '-D', cluster.dataDir, '--prometheus']);
    expect(text.stdout).toMatch(/^# TYPE walhold_rpo_bytes gauge\nwalhold_rpo_bytes \d+$/m);
    for (const line of text.stdout.trimEnd().split('\n')) {
      expect(line).toMatch(/^(# (HELP|TYPE) walhold_\w+ .+|walhold_\w+ [0-9.]+)$/);
    }
    const people = await walhold(cluster, config, ['status', '-D', cluster.dataDir]);
    expect(people.stdout).toContain('not yet safe:');
    expect(people.status).toBe(0);
  });
});
