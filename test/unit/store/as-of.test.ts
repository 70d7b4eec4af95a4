import { mkdtemp, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openStore } from '../../../src/store/open-store.ts';
import { retryPolicy } from '../../../src/store/retry.ts';
import type { ListOptions, Store } from '../../../src/store/store.ts';
import { bytesOf, collected } from '../../support/bytes.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const { signal } = new AbortController();
const policy = retryPolicy({ clock: new ManualClock(), random: () => 0, requestTimeoutMs: 1000 });
const asOf = new Date('2026-06-01T12:00:00Z');

let root = '';
let store: Store;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'walhold-as-of-'));
  const writing = await openStore({ scheme: 'file', path: root }, policy);
  const put = async (key: string, storedAt: string): Promise<void> => {
    await writing.create(key, { kind: 'buffer', bytes: Buffer.from(key) }, { signal });
    await utimes(join(root, key), new Date(), new Date(storedAt));
  };
  await put('wal/1/a', '2026-06-01T11:00:00Z');
  await put('wal/1/b', '2026-06-01T12:00:00Z');
  await put('wal/1/c', '2026-06-01T12:00:01Z');
  await put('wal/2/a', '2026-06-01T13:00:00Z');
  await put('wal/3.history', '2026-06-01T11:00:00Z');
  await put('wal/3/a', '2026-06-01T11:00:00Z');
  store = await openStore({ scheme: 'file', path: root }, policy, { asOf });
});
afterEach(async () => rm(root, { recursive: true }));

async function names(prefix: string, options: Partial<ListOptions> = {}): Promise<string[]> {
  const entries = await collected(store.list(prefix, { signal, ...options }));
  return entries.map((entry) => (entry.kind === 'object' ? entry.key : entry.prefix));
}

it('a directory of a moment has what was stored by then', async () => {
  expect(await store.stat('wal/1/b', { signal })).toMatchObject({ key: 'wal/1/b' });
  expect((await bytesOf((await store.open('wal/1/b', { signal }))?.chunks)).toString()).toBe('wal/1/b');
  expect(await names('')).toEqual(['wal/1/a', 'wal/1/b', 'wal/3.history', 'wal/3/a']);
});

it('a directory of a moment has nothing of what came later', async () => {
  expect(await store.stat('wal/1/c', { signal })).toBeUndefined();
  expect(await store.open('wal/1/c', { signal })).toBeUndefined();
  expect(await names('wal/1/', { after: 'wal/1/b' })).toEqual([]);
});

it('a directory of a moment folds what holds something of then, and limits count what is seen', async () => {
  expect(await names('wal/', { delimited: true })).toEqual(['wal/1/', 'wal/3.history', 'wal/3/']);
  expect(await names('wal/', { delimited: true, after: 'wal/1/' })).toEqual(['wal/3.history', 'wal/3/']);
  expect(await names('wal/', { delimited: true, after: 'wal/1/b' })).toEqual(['wal/3.history', 'wal/3/']);
  expect(await names('wal/', { after: 'wal/1/b', limit: 1 })).toEqual(['wal/3.history']);
});
