import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { serverUsing } from '../../../src/server/running-server.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'walhold-running-'));
  for (const name of ['proc', 'data/pg_tblspc', 'space', 'elsewhere'])
    await mkdir(join(folder, name), { recursive: true });
  await symlink(join(folder, 'space'), join(folder, 'data/pg_tblspc/16400'));
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

const process = async (pid: string, name: string, home: string): Promise<void> => {
  await mkdir(join(folder, 'proc', pid));
  await writeFile(join(folder, 'proc', pid, 'comm'), `${name}\n`);
  await symlink(join(folder, home), join(folder, 'proc', pid, 'cwd'));
};
const using = async (...names: string[]): Promise<number | undefined> =>
  await serverUsing(
    names.map((name) => join(folder, name)),
    join(folder, 'proc'),
  );

describe('a server that uses a place', () => {
  it('is one that works in that data directory', async () => {
    await process('17', 'postgres', 'data');
    expect(await using('data')).toBe(17);
    expect(await using('elsewhere')).toBeUndefined();
  });

  it('is one whose data directory links to that tablespace, by whatever way', async () => {
    await process('18', 'postmaster', 'data');
    await symlink(join(folder, 'space'), join(folder, 'alias'));
    expect(await using('elsewhere', 'space')).toBe(18);
    expect(await using('alias')).toBe(18);
  });

  it('is no shell that stands there, and nothing that has gone', async () => {
    await process('19', 'bash', 'data');
    await mkdir(join(folder, 'proc/20'));
    expect(await using('data', 'space')).toBeUndefined();
  });
});
