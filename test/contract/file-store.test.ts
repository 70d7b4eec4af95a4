import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { storeAsOf } from '../../src/store/as-of.ts';
import { fileStore } from '../../src/store/file.ts';
import { retryPolicy } from '../../src/store/retry.ts';
import type { Store } from '../../src/store/store.ts';
import { withRetry } from '../../src/store/with-retry.ts';
import { storeSuite, type StoreUnderTest } from './store-suite.ts';

const policy = retryPolicy({ clock: systemClock, random: Math.random, requestTimeoutMs: 30_000 });

async function inTemporaryDirectory(decorate: (store: Store) => Store): Promise<StoreUnderTest> {
  const root = await mkdtemp(join(tmpdir(), 'walhold-file-store-'));
  const store = decorate(fileStore({ root }));
  const dispose = async (): Promise<void> => {
    await store.close();
    await rm(root, { recursive: true });
  };
  return { store, dispose };
}

storeSuite('a directory', () => inTemporaryDirectory((store) => store));
storeSuite('a directory, through retry', () => inTemporaryDirectory((store) => withRetry(store, policy)));
storeSuite('a directory, of a moment', () => inTemporaryDirectory((store) => storeAsOf(store, new Date(8e15))));

describe('a directory that a crash left empty', () => {
  it('is told of only to who does not mind', async () => {
    const root = await mkdtemp(join(tmpdir(), 'walhold-file-store-'));
    await mkdir(join(root, 'wal/empty/deeper'), { recursive: true });
    await mkdir(join(root, 'wal/full'));
    await writeFile(join(root, 'wal/full/a'), 'x');
    const { signal } = new AbortController();
    const told = async (maybeEmpty: boolean): Promise<string[]> => {
      const found: string[] = [];
      for await (const entry of fileStore({ root }).list('wal/', { signal, delimited: true, maybeEmpty })) {
        found.push(entry.kind === 'directory' ? entry.prefix : entry.key);
      }
      return found;
    };
    expect(await told(false)).toEqual(['wal/full/']);
    expect(await told(true)).toEqual(['wal/empty/', 'wal/full/']);
    await rm(root, { recursive: true });
  });
});
