import { chmod, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { CheckJson } from '../../src/commands/check.ts';
import { archivedCluster, walhold, type Archived } from '../support/archived-cluster.ts';

async function check(
  { cluster, config }: Archived,
  ...flags: string[]
): Promise<CheckJson & { status: number | null; stderr: string; wrong: Record<string, string> }> {
  const argv = ['check', '-D', cluster.dataDir, '-d', cluster.connectionString, '--json', ...flags];
  const { status, stdout, stderr } = await walhold(cluster, config, argv);
  if (stdout === '') throw new Error(stderr);
  const result = JSON.parse(stdout) as CheckJson;
  const wrong = Object.fromEntries(result.checks.filter(({ ok }) => !ok).map(({ name, found }) => [name, found]));
  return { ...result, status, stderr, wrong };
}

describe('check', () => {
  test('finds all in order on a server that archives, and the segment it ended in every repository', async () => {
    await using archived = await archivedCluster();
    const { cluster } = archived;
    const second = await cluster.place.folder('second');
    await cluster.configure({ restore_command: 'false' });
    await cluster.start();
    // The first segment makes the repositories; the second check finds them known.
    const first = await check(archived);
    expect(first.wrong).toEqual({});
    expect(first).toMatchObject({ ok: true, status: 0, stderr: '' });
    const names = first.checks.map(({ name }) => name);
    for (const name of ['archive_mode', 'archive_command fails', 'restore_command fails', 'repo segment stored']) {
      expect(names).toContain(name);
    }
    const result = await check(archived, '--repo2', `file://${second}`);
    // The server's command does not know the second one, and a check makes none.
    expect(Object.keys(result.wrong)).toContain('repo2 segment stored');
    expect(Object.keys(result.wrong)).toContain('repo2 identity');
    expect(result.status).toBe(1);
  }, 200_000);

  test('leaves no litter behind, however often it runs', async () => {
    await using archived = await archivedCluster();
    await archived.cluster.start();
    await check(archived);
    const before = await archived.cluster.runOk(['ls', archived.repository]);
    await check(archived);
    expect((await archived.cluster.runOk(['ls', archived.repository])).stdout).toBe(before.stdout);
  });

  test('names settings that make the WAL useless', async () => {
    await using archived = await archivedCluster({ walhold: {} });
    const { cluster } = archived;
    await cluster.configure({ archive_mode: 'off', wal_level: 'minimal', max_wal_senders: 0, full_page_writes: 'off' });
    await cluster.start();
    const { checks, wrong, status } = await check(archived);
    const settings = { archive_mode: 'off', wal_level: 'minimal', full_page_writes: 'off' };
    expect(wrong).toMatchObject(settings);
    expect(wrong['segment stored']).toMatch(/^not checked/);
    expect(status).toBe(1);

    // Each hint begins with the command that mends it.
    for (const name of Object.keys(settings)) {
      const hint = checks.find((one) => one.name === name)?.hint ?? '';
      const [command = ''] = /^psql(?: -c "[^"]+")+/.exec(hint) ?? [];
      expect(command, hint).not.toBe('');
      const env = { PATH: `${cluster.postgres.bin}:/usr/bin:/bin`, PGHOST: cluster.socketDir, PGUSER: 'postgres' };
      await cluster.runOk(['sh', '-ec', command], { env });
    }
    await cluster.restart();
    const left = Object.keys((await check(archived)).wrong);
    expect(left.filter((name) => Object.hasOwn(settings, name))).toEqual([]);
  }, 200_000);

  test('catches commands that succeed where they cannot', async () => {
    await using archived = await archivedCluster();
    const { cluster } = archived;
    const launcher = await cluster.place.file('walhold-push', '');
    await chmod(launcher, 0o755);
    await cluster.configure({ archive_command: `${launcher} %p`, restore_command: 'cp %p %f; true' });
    await cluster.start();
    const { wrong } = await check(archived);
    expect(wrong).toMatchObject({
      'archive_command fails': 'it ended with 0',
      'restore_command fails': 'it ended with 0',
    });
    // An empty launcher is a success to the archiver, and nothing is stored.
    expect(wrong['repo segment stored']).toContain('archive_command said that it is stored');
  }, 200_000);

  test('catches a command that the server cannot run at all', async () => {
    await using archived = await archivedCluster();
    await archived.cluster.configure({ archive_command: '/nowhere/walhold-push %p' });
    await archived.cluster.start();
    const { wrong } = await check(archived);
    expect(wrong['archive_command fails']).toBe('it ended with 127');
    // Nor does it wait for what that command will never store.
    expect(wrong['segment stored']).toBe('not checked: archive_command cannot be run');
  });

  test('catches a restore_command that hands on less than it was told', async () => {
    await using archived = await archivedCluster();
    const restoreCommand = 'walhold-fetch %f %p || exit 1';
    await archived.cluster.configure({ restore_command: restoreCommand, archive_mode: 'off' });
    await archived.cluster.start();
    const { wrong } = await check(archived);
    expect(wrong['restore_command fails']).toBe('it ended with 1');
  });

  test('says what it could not look at without a connection, and counts none of it as a success', async () => {
    await using archived = await archivedCluster();
    const argv = ['check', '-D', archived.cluster.dataDir, '-d', `host=${archived.cluster.socketDir}`, '--json'];
    const { status, stdout } = await walhold(archived.cluster, archived.config, argv);
    const { checks } = JSON.parse(stdout) as CheckJson;
    const wrong = checks.filter(({ ok }) => !ok);
    expect(wrong.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['connection', 'archive_mode', 'segment stored']),
    );
    expect(wrong.filter(({ found }) => found.startsWith('not checked')).length).toBeGreaterThan(3);
    // pg_control knows this one.
    expect(checks.find(({ name }) => name === 'wal_level')).toMatchObject({ ok: true, found: 'replica' });
    expect(status).toBe(1);
  });

  test('finds a repository of another cluster, and one that cannot be written', async () => {
    await using archived = await archivedCluster();
    const { cluster, repository } = archived;
    await cluster.start();
    await check(archived);
    const identity = { format: 1, systemId: '1', createdAt: '2026-01-01T00:00:00.000Z', by: 'a test' };
    await rm(join(repository, 'walhold.json'));
    await writeFile(join(repository, 'walhold.json'), JSON.stringify(identity));
    await chmod(join(repository, 'walhold.json'), 0o644);
    const { wrong } = await check(archived);
    expect(wrong['repo identity']).toContain('belongs to another cluster');
    expect(wrong['repo refuses a taken name']).toMatch(/^not checked/);
  }, 200_000);
});
