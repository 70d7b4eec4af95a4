import { open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { isRoot } from '../../scripts/server-user.ts';
import { archivedCluster, backUp, walhold, walholdOk, type Archived } from '../support/archived-cluster.ts';
import { begunBackups, recordOf } from '../support/backup-folder.ts';
import type { Cluster } from '../support/cluster.ts';
import { LONG } from '../support/effort.ts';
import { built } from '../support/hook.ts';
import { Place } from '../support/place.ts';
import { Pooler } from '../support/pooler.ts';
import { run } from '../support/run.ts';
import { SlowBackup } from '../support/slow-backup.ts';
import { copyOf } from '../support/standby.ts';
import { waitFor } from '../support/wait-for.ts';

const BACKUP = ['backup', '-c', 'fast'];

describe('a base backup that is interrupted', () => {
  test.each(['SIGTERM', 'SIGINT', 'SIGKILL'] as const)(
    'by %s is no backup, and does not disturb the next',
    async (signal) => {
      await using archived = await archivedCluster();
      const { cluster, config } = archived;
      await cluster.start();
      await using slow = await SlowBackup.start(archived);
      slow.kill(signal);
      const { status, stdout, stderr } = await slow.ended();
      expect(status).toBe(1);
      expect(stdout).toBe('');
      if (signal !== 'SIGKILL') expect(stderr).toContain(`walhold: error: stopped by ${signal}`);
      expect(await listed(archived)).toEqual([]);
      expect(await begunBackups(archived)).toHaveLength(1);
      if (signal !== 'SIGKILL') expect(await readdir(join(archived.repository, '.walhold-tmp'))).toEqual([]);
      await noBackupRuns(cluster);
      const id = await backUp(cluster, config);
      expect(await listed(archived)).toEqual([id]);
    },
  );

  // What the backup sees is a connection that is lost, either way.
  describe.each(['immediate', 'fast'] as const)('by a server that restarts (%s)', (mode) => {
    test.runIf(LONG || mode === 'immediate')('fails, and the next works', async () => {
      await using archived = await archivedCluster();
      const { cluster, config } = archived;
      await cluster.start();
      await using slow = await SlowBackup.start(archived);
      await cluster.restart(mode);
      const { status, stdout, stderr } = await slow.ended();
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
      expect(stderr).toContain('walhold: error: lost the connection to the server on socket');
      expect(await listed(archived)).toEqual([]);
      const id = await backUp(cluster, config);
      expect(await listed(archived)).toEqual([id]);
    });
  });
});

describe('a damaged page', () => {
  test('fails the backup, which names it; with --allow-bad-pages the record does', async () => {
    await using archived = await archivedCluster();
    const { cluster, config } = archived;
    await cluster.start();
    await cluster.query('create table t as select i from generate_series(1, 10000) i');
    await cluster.query('checkpoint');
    const path = await cluster.value<string>(`select pg_relation_filepath('t')`);
    await damage(join(cluster.dataDir, path), [3, 7]);
    const flags = ['-d', cluster.connectionString];
    const refused = await walhold(cluster, config, [...BACKUP, ...flags]);
    expect(refused).toMatchObject({ status: 1, stdout: '' });
    expect(refused.stderr).toContain(`the checksum of block 3 of ${path} is wrong`);
    expect(refused.stderr).toContain(`the checksum of block 7 of ${path} is wrong`);
    expect(refused.stderr).toContain('error: 2 pages of the data directory are damaged');
    expect(await listed(archived)).toEqual([]);

    const { stdout, stderr } = await walholdOk(cluster, config, [...BACKUP, ...flags, '--allow-bad-pages']);
    expect(stderr).toContain(`the checksum of block 3 of ${path} is wrong`);
    const record = await recordOf(archived, stdout.trim());
    expect(record.badPages).toEqual([
      { path, block: 3 },
      { path, block: 7 },
    ]);
    expect(record.badPageCount).toBe(2);
  });

  test('goes unseen without checksums, which is said', async () => {
    await using archived = await archivedCluster({ checksums: false });
    const { cluster, config } = archived;
    await cluster.start();
    const { stdout, stderr } = await walholdOk(cluster, config, [...BACKUP, '-d', cluster.connectionString]);
    expect(stderr).toContain('warning: data_checksums is off');
    expect((await recordOf(archived, stdout.trim())).server.dataChecksums).toBe(false);
  });
});

describe('a server that does not archive here', () => {
  test.each([
    [{ archive_mode: 'off' }, 'archive_mode is off'],
    [{ archive_command: '' }, 'archive_command is empty'],
  ])('is refused at once with %o', async (settings, detail) => {
    await using archived = await archivedCluster();
    const { cluster, config } = archived;
    await cluster.configure(settings);
    await cluster.start();
    const { status, stderr } = await walhold(cluster, config, [...BACKUP, '-d', cluster.connectionString]);
    expect(status).toBe(1);
    expect(stderr).toContain(detail);
    expect(await begunBackups(archived)).toEqual([]);
  });

  test('is noticed before the copying has ended', async () => {
    await using archived = await archivedCluster();
    const { cluster, config } = archived;
    await cluster.configure({ archive_command: 'true' });
    await cluster.start();
    // Else there is no segment that the start of the backup ends.
    await cluster.query('create table t as select 1 as i');
    const flags = ['-d', cluster.connectionString, '--max-rate', '1M'];
    const { status, stderr, elapsedMs } = await walhold(cluster, config, [...BACKUP, ...flags]);
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /error: the server does not archive into file:.*\n.*detail: it says that 0\w{23} is archived/,
    );
    expect(elapsedMs).toBeLessThan(15_000);
  });

  test('is named with what is missing when the time is over', async () => {
    await using archived = await archivedCluster();
    const { cluster, config } = archived;
    await cluster.configure({ archive_command: 'false' });
    await cluster.start();
    const flags = ['-d', cluster.connectionString, '--wal-timeout', '1s'];
    const { status, stderr } = await walhold(cluster, config, [...BACKUP, ...flags]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/the WAL that the backup needs was not stored within 1 s/);
    expect(stderr).toMatch(/detail: file:\S+repository lacks 0\w{23}\n/);
    expect(await listed(archived)).toEqual([]);
  });

  test('into one of two repositories is no proof for the other', async () => {
    await using archived = await archivedCluster();
    const { cluster, config } = archived;
    await cluster.start();
    const second = await cluster.place.folder('second');
    const flags = ['-d', cluster.connectionString, '--repo2', `file://${second}`];
    const { status, stderr } = await walhold(cluster, config, [...BACKUP, ...flags]);
    expect(status).toBe(1);
    expect(stderr).toContain(`does not archive into file://${second}`);
    expect(await listed(archived)).toEqual([]);
  });
});

describe('what does not belong together', () => {
  test('is refused: the directory of a clone', async () => {
    await using archived = await archivedCluster();
    const { cluster, config } = archived;
    await using clone = await copyOf(cluster);
    await cluster.start();
    await cluster.query('checkpoint');
    const flags = ['-d', cluster.connectionString, '-D', clone.dataDir];
    const { status, stderr } = await walhold(cluster, config, [...BACKUP, ...flags]);
    expect(status).toBe(1);
    expect(stderr).toContain(`error: ${clone.dataDir} is not the data directory of the server`);
    expect(stderr).toContain('it belongs to a clone');
  });

  test('is refused: a connection pooler in between', async () => {
    await using archived = await archivedCluster();
    const { cluster, config } = archived;
    await cluster.start();
    await using pooler = await Pooler.before(join(cluster.socketDir, '.s.PGSQL.5432'));
    const flags = ['-d', `host=127.0.0.1 port=${pooler.port} user=postgres sslmode=disable`];
    const { status, stderr } = await walhold(cluster, config, [...BACKUP, ...flags]);
    expect(status).toBe(1);
    expect(stderr).toContain('is not reached directly');
  });

  test('is refused: a repository of another cluster', async () => {
    await using archived = await archivedCluster();
    await using other = await archivedCluster();
    await archived.cluster.start();
    await other.cluster.start();
    await backUp(archived.cluster, archived.config);
    const flags = ['-d', other.cluster.connectionString, '--repo', `file://${archived.repository}`];
    const { status, stderr } = await walhold(other.cluster, other.config, [...BACKUP, ...flags]);
    expect(status).toBe(1);
    expect(stderr).toContain('belongs to another cluster');
  });

  test('is refused: a repository that was known, and has vanished', async () => {
    await using archived = await archivedCluster();
    const { cluster, config } = archived;
    await cluster.start();
    await backUp(cluster, config);
    await rm(archived.repository, { recursive: true });
    const { status, stderr } = await walhold(cluster, config, [...BACKUP, '-d', cluster.connectionString]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/repository.* is missing|is not, or no longer, a repository/);
  });

  test.runIf(isRoot())('is refused: root, whose files the server could not read', async () => {
    await using archived = await archivedCluster();
    const { cluster, config } = archived;
    await cluster.start();
    await using rootsOwn = await Place.create('roots-own', 'current user');
    const repo = ['--repo', `file://${rootsOwn.path}`];
    const argv = [await built('walhold'), '--config', config, ...repo, ...BACKUP, '-d', cluster.connectionString];
    const { status, stderr } = await run(argv);
    expect(status).toBe(1);
    expect(stderr).toContain(`hint: Run this as the user that owns ${cluster.dataDir}`);
    expect(await begunBackups(archived)).toEqual([]);
    expect(await readdir(rootsOwn.path)).toEqual([]);
  });

  test('is refused: a repository inside the data directory', async () => {
    await using archived = await archivedCluster();
    const { cluster, config } = archived;
    await cluster.start();
    const flags = ['-d', cluster.connectionString, '--repo', `file://${cluster.dataDir}/repository`];
    const { status, stderr } = await walhold(cluster, config, [...BACKUP, ...flags]);
    expect(status).toBe(2);
    expect(stderr).toContain('lies inside the data directory');
  });
});

/** The ids that `walhold list` shows. */
async function listed({ cluster, config }: Archived): Promise<string[]> {
  const { stdout } = await walholdOk(cluster, config, ['list', '--json']);
  return (JSON.parse(stdout) as { backups: { id: string }[] }).backups.map(({ id }) => id);
}

/** The session of a killed backup goes when its server notices. */
async function noBackupRuns(cluster: Cluster): Promise<void> {
  const sql = `select 1 where not exists (select from pg_stat_activity where application_name = 'walhold')`;
  await waitFor(async () => (await cluster.query(sql)).length === 1, {
    what: 'the session to end',
    deadlineMs: 30_000,
  });
}

/** Changes a byte of the content of these blocks, behind the server's back. */
async function damage(path: string, blocks: readonly number[]): Promise<void> {
  const file = await open(path, 'r+');
  for (const block of blocks) await file.write(Buffer.from([0x5a]), 0, 1, block * 8192 + 8000);
  await file.close();
}
