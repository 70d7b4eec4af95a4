import { chmod, open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { VerifyJson } from '../../src/commands/verify.ts';
import type { Inspection } from '../../src/commands/wal-inspection.ts';
import { archivedCluster, backUp, walhold, type Archived } from '../support/archived-cluster.ts';
import { archiveEverything } from '../support/archiving.ts';
import { LONG } from '../support/effort.ts';
import { filedSegments, segmentPath } from '../support/repository-files.ts';
import { createTablespace } from '../support/tablespace.ts';

async function verify(
  { cluster, config }: Archived,
  ...flags: string[]
): Promise<VerifyJson & { status: number | null; stderr: string }> {
  const { status, stdout, stderr } = await walhold(cluster, config, ['verify', '--json', ...flags]);
  if (stdout === '') throw new Error(stderr);
  return { ...(JSON.parse(stdout) as VerifyJson), status, stderr };
}

async function flipByte(path: string, at: number): Promise<void> {
  await chmod(path, 0o600);
  const handle = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, at);
  await handle.write(Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, at);
  await handle.close();
}

/** A cluster with a tablespace and long names that was backed up, and archived more. */
async function backedUp(): Promise<Archived & { backup: string }> {
  const archived = await archivedCluster();
  const { cluster, config } = archived;
  await cluster.start();
  await createTablespace(cluster, 'fast');
  await cluster.query('create table big tablespace fast as select i, md5(i::text) from generate_series(1, 20000) i');
  const long = join(cluster.dataDir, 'a'.repeat(120), 'b'.repeat(120));
  await cluster.runOk(['mkdir', '-p', long]);
  await cluster.runOk(['cp', join(cluster.dataDir, 'PG_VERSION'), join(long, 'ünicode')]);
  const id = await backUp(cluster, config);
  await archiveEverything(cluster);
  return { ...archived, backup: join(archived.repository, 'backup', id) };
}

describe('verify, of what real servers wrote', () => {
  test('reads all of it, and any byte that is flipped is found where it is', async () => {
    await using archived = await backedUp();
    const { repository, backup } = archived;
    const sound = await verify(archived);
    expect(sound).toMatchObject({ ok: true, problems: [], status: 0, stderr: '' });
    const parts = (await readdir(backup)).filter((name) => name.startsWith('part-'));
    const segments = await filedSegments(repository);
    expect(sound.checked.objects).toBeGreaterThanOrEqual(parts.length + segments.length + 1);

    const segment = segmentPath(repository, segments.at(-1) ?? '');
    const part = join(backup, parts[0] ?? '');
    for (const path of [segment, part, join(backup, 'backup_manifest.zst')]) {
      const { size } = await stat(path);
      const middle = Math.floor(size / 2);
      for (const at of (LONG ? [0, 40, middle, size - 500, size - 1] : [40, middle, size - 1]).filter(
        (one) => one >= 0,
      )) {
        await flipByte(path, at);
        const { problems, status } = await verify(archived);
        const object = path.slice(repository.length + 1);
        expect(problems, `byte ${at} of ${object}`).toMatchObject([{ code: 'damaged', object }]);
        expect(status).toBe(1);
        await flipByte(path, at);
      }
    }
    expect((await verify(archived)).ok).toBe(true);
  });

  test('misses a segment that is gone, and a part', async () => {
    await using archived = await backedUp();
    const { repository, backup } = archived;
    const segments = await filedSegments(repository);
    const gone = segments.at(-2) ?? '';
    await rm(segmentPath(repository, gone));
    await rm(join(backup, 'part-1.tar.zst'));
    const { problems } = await verify(archived, '--quick');
    const part = `${backup.slice(repository.length + 1)}/part-1.tar.zst`;
    expect(problems.map(({ code, object }) => [code, object])).toEqual([
      ['missing-object', part],
      ['missing-segment', gone],
    ]);
  });

  test('inspects a file of the server, and the same file stored', async () => {
    await using archived = await archivedCluster();
    const { cluster, config } = archived;
    await cluster.start();
    const name = await archiveEverything(cluster);
    const path = join(cluster.dataDir, 'pg_wal', name);
    const local = await walhold(cluster, config, ['wal', 'inspect', path, '--json']);
    const stored = await walhold(cluster, config, ['wal', 'inspect', name, '--json']);
    const here = JSON.parse(local.stdout) as Inspection;
    const there = JSON.parse(stored.stdout) as Inspection;
    expect(here).toMatchObject({ name, kind: 'segment', fits: true, problems: [], copies: [], bytes: 1024 * 1024 });
    expect(here.header).toMatchObject({ pgMajor: cluster.postgres.major, timeline: 1, segmentBytes: 1024 * 1024 });
    expect({ ...there, copies: [] }).toEqual(here);
    expect(there.copies).toMatchObject([{ sha256: here.sha256, error: null, commits: expect.any(Number) as number }]);
    expect(there.copies[0]?.by).toMatch(/^walhold \S+ on \S+$/);

    const list = await walhold(cluster, config, ['wal', 'list']);
    expect(list.stdout).toContain(name);
    expect(list.status).toBe(0);
  });
});
