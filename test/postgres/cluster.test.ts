import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MAJORS } from '../../scripts/find-postgres.ts';
import { archiveEverything } from '../support/archiving.ts';
import { Cluster } from '../support/cluster.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { commitTimes, startLoad } from '../support/load.ts';
import { isAlive, processesWith } from '../support/process-tree.ts';
import { run } from '../support/run.ts';
import { makeStandby, waitUntilCaughtUp } from '../support/standby.ts';
import { waitFor } from '../support/wait-for.ts';

describe.each(MAJORS)('a test cluster of PostgreSQL %i', (major) => {
  it('keeps every acknowledged row through SIGKILL, and a standby made meanwhile has the same rows', async () => {
    await using primary = await Cluster.create({ major, segmentMb: 1, settings: { wal_keep_size: '256MB' } });
    expect(primary.postgres.major).toBe(major);
    await primary.start();
    await using load = await startLoad(primary, { clients: 2 });
    await waitFor(() => load.count > 100, { what: 'some rows' });
    await using standby = await makeStandby(primary, { streaming: true });
    await primary.kill9();
    await primary.start();
    const { committed, uncertain } = await load.stop();
    await standby.start();
    await waitUntilCaughtUp(standby, primary);

    const found = new Set((await commitTimes(primary)).map(({ id }) => id));
    expect(committed.filter(({ id }) => !found.has(id))).toEqual([]);
    const known = new Set([...committed.map(({ id }) => id), ...uncertain]);
    expect([...found].filter((id) => !known.has(id))).toEqual([]);
    expect(await fingerprint(standby)).toEqual(await fingerprint(primary));
    await standby.promote();
    expect(await standby.value('select pg_walfile_name(pg_current_wal_lsn())')).toMatch(/^00000002/);
  });
});

describe('a test cluster', () => {
  it('has a system identifier that no other has, in its control file and its WAL', async () => {
    await using one = await Cluster.create({ segmentMb: 1 });
    await using other = await Cluster.create({ segmentMb: 1 });
    const identifiers = new Set<string>();
    for (const cluster of [one, other]) {
      await cluster.start();
      const id = await cluster.value<string>('select system_identifier::text from pg_control_system()');
      const [first = ''] = await cluster.walFiles();
      const page = await readFile(join(cluster.dataDir, 'pg_wal', first));
      expect(String(page.readBigUInt64LE(24))).toBe(id);
      identifiers.add(id);
    }
    expect(identifiers.size).toBe(2);
  });

  it('gives its shared memory back', async () => {
    const cluster = await Cluster.create();
    await cluster.start();
    // Key and number of the segment (AddToDataDirLockFile, LOCK_FILE_LINE_SHMEM_KEY, utils/init/miscinit.c).
    const lines = (await readFile(join(cluster.dataDir, 'postmaster.pid'), 'utf8')).split('\n');
    const number = lines[6]?.trim().split(/\s+/)[1] ?? '';
    const segments = async (): Promise<(string | undefined)[]> =>
      (await readFile('/proc/sysvipc/shm', 'utf8')).split('\n').map((line) => line.trim().split(/\s+/)[1]);
    expect(await segments()).toContain(number);
    await cluster[Symbol.asyncDispose]();
    expect(await segments()).not.toContain(number);
  });

  it('is gone with everything that its commands left behind', async () => {
    const settings = { archive_mode: 'on', archive_command: 'setsid sleep 1000 </dev/null >/dev/null 2>&1 & true' };
    const cluster = await Cluster.create({ settings });
    await cluster.start();
    await archiveEverything(cluster);
    const mark = cluster.place.path;
    const left = processesWith('WALHOLD_TEST_CLUSTER', mark);
    expect(left.length).toBeGreaterThan(1);
    await cluster[Symbol.asyncDispose]();
    expect(left.filter(isAlive)).toEqual([]);
    expect(existsSync(mark)).toBe(false);
  });

  it('does not outlive the process that made it', async () => {
    const script = `
      import { Cluster } from '${join(import.meta.dirname, '../support/cluster.ts')}';
      const cluster = await Cluster.create();
      await cluster.start();
      process.stdout.write(cluster.pid + ' ' + cluster.place.path);
      process.kill(process.pid, 'SIGKILL');`;
    const { stdout, signal } = await run([process.execPath, '--input-type=module', '-e', script]);
    expect(signal).toBe('SIGKILL');
    const [pid = '', path = ''] = stdout.split(' ');
    await waitFor(() => !isAlive(Number(pid)), { what: 'the server to end', deadlineMs: 10_000 });
    await run(['rm', '-rf', path]);
  });
});
