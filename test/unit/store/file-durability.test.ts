import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { fileStore } from '../../../src/store/file.ts';
import type { Body } from '../../../src/store/store.ts';

/** What reached the disk or got its name, in order. */
const steps = vi.hoisted(() => [] as { act: 'sync' | 'link'; path: string }[]);
vi.mock(import('node:fs/promises'), async (original) => {
  const real = await original();
  const open: typeof real.open = async (path, ...rest) => {
    const handle = await real.open(path, ...rest);
    const sync = handle.sync.bind(handle);
    handle.sync = () => {
      steps.push({ act: 'sync', path: path as string });
      return sync();
    };
    return handle;
  };
  const link: typeof real.link = async (from, to) => {
    await real.link(from, to);
    steps.push({ act: 'link', path: to as string });
  };
  return { ...real, open, link };
});

const { signal } = new AbortController();
const body: Body = { kind: 'buffer', bytes: Buffer.from('content') };
let root = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'walhold-durable-'));
  steps.length = 0;
});
afterEach(async () => rm(root, { recursive: true }));

function taken(): string[] {
  return steps.map(({ act, path }) => `${act} ${relative(root, path).replace(/^\.walhold-tmp\/.*/, 'temporary')}`);
}

it('syncs the file, links it, and syncs its directory and all above before it says created', async () => {
  const store = fileStore({ root });
  expect(await store.create('wal/1/k', body, { signal })).toBe('created');
  expect(taken()).toEqual(['sync temporary', 'link wal/1/k', 'sync wal/1', 'sync wal', 'sync ']);
  steps.length = 0;
  expect(await store.create('wal/1/k2', body, { signal })).toBe('created');
  expect(taken()).toEqual(['sync temporary', 'link wal/1/k2', 'sync wal/1']);
});

it('syncs what another writer has linked before it says exists', async () => {
  await fileStore({ root }).create('wal/k', body, { signal });
  steps.length = 0;
  expect(await fileStore({ root }).create('wal/k', body, { signal })).toBe('exists');
  expect(taken()).toEqual(['sync wal/k', 'sync wal', 'sync ']);
});
