import { createHash } from 'node:crypto';
import { readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { WalPushJson } from '../../src/commands/wal-push.ts';
import { archivedCluster, walhold, type Archived } from '../support/archived-cluster.ts';
import { archiveEverything, readyFiles, switchWal } from '../support/archiving.ts';
import { filedSegments, filedWal, segmentPath } from '../support/repository-files.ts';
import { makeStandby, waitUntilCaughtUp } from '../support/standby.ts';

async function push(
  { cluster, config }: Archived,
  ...flags: string[]
): Promise<WalPushJson & { status: number | null; stderr: string }> {
  const { status, stdout, stderr } = await walhold(cluster, config, ['wal', 'push', '--json', ...flags]);
  if (stdout === '') throw new Error(stderr);
  return { ...(JSON.parse(stdout) as WalPushJson), status, stderr };
}

/** A cluster whose archiver has never stored anything, with a few segments that wait for it. */
async function behind(): Promise<Archived & { waiting: string[] }> {
  const archived = await archivedCluster();
  await archived.cluster.configure({ archive_command: 'false' });
  await archived.cluster.start();
  const waiting = [await switchWal(archived.cluster), await switchWal(archived.cluster)];
  return { ...archived, waiting };
}

describe('wal push', () => {
  test('stores what waits for the archiver, and leaves its notes to the server', async () => {
    await using archived = await behind();
    const { cluster, repository, waiting } = archived;
    const dir = ['-D', cluster.dataDir];
    const ready = await readyFiles(cluster);

    const missing = await walhold(cluster, archived.config, ['wal', 'push', '--check', ...dir]);
    // There is no repository yet, and a check makes none.
    expect(missing).toMatchObject({ status: 1, stdout: '' });

    const result = await push(archived, ...dir);
    expect(result).toMatchObject({ missing: [], failures: [], status: 0 });
    expect(result.pushed).toEqual(expect.arrayContaining(waiting));
    expect(result.pushed).toEqual(result.pushed.toSorted());
    expect(await filedSegments(repository)).toEqual(result.pushed);
    expect(await readyFiles(cluster)).toEqual(ready);

    expect(await push(archived, ...dir)).toMatchObject({ pushed: [], missing: [], status: 0 });
    expect(await push(archived, '--check', ...dir)).toMatchObject({ missing: [], status: 0 });
  });

  test('never stores the segment that is being written, nor files that wait to be used again', async () => {
    await using archived = await behind();
    const { cluster, repository } = archived;
    const connection = ['-D', cluster.dataDir, '-d', cluster.connectionString];
    await push(archived, ...connection);
    // Checkpoints rename old segments to names that are to come; these are done, so they may.
    await cluster.configure({ archive_command: 'true' });
    await cluster.restart();
    await archiveEverything(cluster);
    await cluster.query('checkpoint');
    const current = await cluster.value<string>('select pg_walfile_name(pg_current_wal_lsn())');
    const names = (await cluster.walFiles()).filter((name) => /^[0-9A-F]{24}$/.test(name));
    expect(names.some((name) => name > current)).toBe(true);

    await push(archived, ...connection);
    expect((await filedSegments(repository)).filter((name) => name >= current)).toEqual([]);
    await push(archived, '-D', cluster.dataDir);
    expect((await filedSegments(repository)).filter((name) => name >= current)).toEqual([]);
  });

  test('stores complete segments that the archiver believes it is done with', async () => {
    await using archived = await archivedCluster();
    const { cluster, repository } = archived;
    await cluster.start();
    const name = await archiveEverything(cluster);
    const stored = segmentPath(repository, name);
    const digest = async (): Promise<string> =>
      createHash('sha256')
        .update(await readFile(stored))
        .digest('hex');
    const before = await digest();
    await rm(stored);
    expect(await push(archived, '--check', '-D', cluster.dataDir)).toMatchObject({ missing: [name], status: 1 });
    expect(await push(archived, '-D', cluster.dataDir)).toMatchObject({ pushed: [name], status: 0 });
    // Only who stored it, and when, may differ.
    expect(await digest()).not.toBe(before);
  });

  test('works on a server that is stopped, for shutdown hooks and before pg_rewind', async () => {
    await using archived = await behind();
    const { cluster, waiting } = archived;
    await cluster.stop('fast');
    const { pushed, status } = await push(archived, '-D', cluster.dataDir);
    expect(pushed).toEqual(expect.arrayContaining(waiting));
    expect(status).toBe(0);
  });

  test('after a failover stores what was streamed and marked done, along the own history only', async () => {
    await using archived = await behind();
    const { cluster, repository, config } = archived;
    await using standby = await makeStandby(cluster, { streaming: true });
    await standby.configure({ archive_mode: 'on', archive_command: 'true', wal_keep_size: '64MB' });
    await standby.start();
    const streamed = await switchWal(cluster);
    await waitUntilCaughtUp(standby, cluster);
    // The primary goes on alone: these segments are on its history only.
    await standby.promote();
    const alone = [await switchWal(cluster), await switchWal(cluster)];
    await cluster.stop('immediate');
    await archiveEverything(standby);
    // A segment of the old primary that strayed into the new one's pg_wal.
    const stray = join(standby.dataDir, 'pg_wal', alone.at(-1) ?? '');
    await standby.runOk(['cp', join(cluster.dataDir, 'pg_wal', alone.at(-1) ?? ''), stray]);

    const result = await push({ ...archived, cluster: standby }, '-D', standby.dataDir);
    expect(result).toMatchObject({ missing: [], failures: [], status: 0 });
    expect(result.pushed).toContain(streamed);
    expect(result.pushed[0]).toBe('00000002.history');
    for (const name of alone) expect(result.pushed).not.toContain(name);
    expect(await filedWal(repository)).toContain('00000002.history.zst');
    expect((await walhold(standby, config, ['verify', '--json'])).stdout).toContain('"problems": []');
  });

  test('stores in the repositories that answer, and says which did not', async () => {
    await using archived = await behind();
    const { cluster, repository, waiting } = archived;
    const second = await cluster.place.folder('second');
    const both = ['-D', cluster.dataDir, '--repo2', `file://${second}`];
    await push(archived, ...both);
    await rename(second, `${second}-away`);
    const name = await switchWal(cluster);
    const result = await push(archived, ...both);
    expect(result.status).toBe(1);
    expect(result.failures).toMatchObject([{ name: null, repository: 2 }]);
    expect(await filedSegments(repository)).toContain(name);

    await rename(`${second}-away`, second);
    expect(await push(archived, ...both)).toMatchObject({ pushed: [name], status: 0 });
    expect(await filedSegments(second)).toEqual(expect.arrayContaining([...waiting, name]));
  });

  test('needs a data directory, and the server that belongs to it', async () => {
    await using archived = await behind();
    await using other = await archivedCluster({ name: 'other' });
    await other.cluster.start();
    const { cluster, config } = archived;
    const nowhere = await walhold(cluster, config, ['wal', 'push', '-D', cluster.place.path]);
    expect(nowhere.status).toBe(1);
    expect(nowhere.stderr).toContain('is not a data directory');
    const unnamed = await walhold(cluster, config, ['wal', 'push'], { cwd: '/' });
    expect(unnamed.status).toBe(2);
    const argv = ['wal', 'push', '-D', cluster.dataDir, '-d', other.cluster.connectionString];
    const wrong = await walhold(cluster, config, argv);
    expect(wrong.stderr).toContain('different clusters');
    expect(wrong.status).toBe(1);
  });
});
