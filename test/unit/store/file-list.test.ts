import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { fileStore } from '../../../src/store/file.ts';
import type { ListOptions } from '../../../src/store/store.ts';
import { collected } from '../../support/bytes.ts';

const calls = vi.hoisted(() => ({ read: [] as string[], looked: [] as string[] }));
vi.mock(import('node:fs/promises'), async (original) => {
  const real = await original();
  const readdir = ((path: string, options: object) => {
    calls.read.push(path);
    return real.readdir(path, options as never);
  }) as unknown as typeof real.readdir;
  return { ...real, readdir };
});
vi.mock(import('node:fs'), async (original) => {
  const real = await original();
  const lstat = ((path: string, options: object, done: () => void) => {
    calls.looked.push(path);
    real.lstat(path, options, done);
  }) as unknown as typeof real.lstat;
  const opendir = ((path: string, options: object, done: () => void) => {
    calls.read.push(path);
    real.opendir(path, options, done as never);
  }) as unknown as typeof real.opendir;
  return { ...real, lstat, opendir };
});

let root = '';
const { signal } = new AbortController();

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'walhold-file-list-'));
  for (const directory of ['wal/1/a', 'wal/1/b', 'wal/2/a', 'wal/2/b', 'wal/3/a', 'backup/x']) {
    await mkdir(join(root, directory), { recursive: true });
    for (let at = 100; at < 200; at += 1) await writeFile(join(root, directory, `${at}`), '');
  }
});
afterAll(async () => rm(root, { recursive: true }));
beforeEach(() => {
  calls.read.length = 0;
  calls.looked.length = 0;
});

async function directoriesRead(prefix: string, options: Partial<ListOptions> = {}): Promise<string[]> {
  await collected(fileStore({ root }).list(prefix, { signal, ...options }));
  return calls.read.map((path) => relative(root, path));
}

it.each<[string, Partial<ListOptions>, string[]]>([
  ['wal/2/a/', {}, ['wal/2/a']],
  ['wal/2/a/15', {}, ['wal/2/a']],
  ['wal/2', {}, ['wal', 'wal/2', 'wal/2/a', 'wal/2/b']],
  ['wal/', { after: 'wal/2/a/150' }, ['wal', 'wal/2', 'wal/2/a', 'wal/2/b', 'wal/3', 'wal/3/a']],
  ['wal/', { after: 'wal/3' }, ['wal', 'wal/3', 'wal/3/a']],
  ['wal/2/', { delimited: true }, ['wal/2', 'wal/2/a', 'wal/2/b']],
  ['wal/', { limit: 3 }, ['wal', 'wal/1', 'wal/1/a']],
])('a listing of %j with %j reads only the directories it needs', async (prefix, options, expected) => {
  expect(await directoriesRead(prefix, options)).toEqual(expected);
});

it('looks at no more files than were wished for', async () => {
  await directoriesRead('wal/', { limit: 3 });
  expect(calls.looked).toHaveLength(3);
});
