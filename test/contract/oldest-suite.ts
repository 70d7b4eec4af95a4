/** What `src/store/with-versions.ts` promises, as tests on any store that keeps versions, with somebody else at work beside it. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ListOptions, Store, Stranger } from '../../src/store/store.ts';
import { withVersions } from '../../src/store/with-versions.ts';
import { bytesOf, collected } from '../support/bytes.ts';
import type { VersionedStore, VersionSuiteOptions } from './version-suite.ts';

const { signal } = new AbortController();

export function oldestSuite(
  name: string,
  makeStore: () => Promise<VersionedStore>,
  options: VersionSuiteOptions,
): void {
  describe(`${name}, read by the oldest version`, () => {
    const made: VersionedStore[] = [];
    const fresh = async (): Promise<Meddled> => {
      const one = await makeStore();
      made.push(one);
      return meddled(one);
    };
    beforeAll(async () => options.start?.());
    afterEach(async () => {
      for (const one of made.splice(0)) await one.dispose();
    });
    afterAll(async () => options.stop?.());

    it('reads every name as it was first written, whatever was put over it or hides it', async () => {
      const { reading, strangers } = await fresh();
      for (const key of ['a/covered', 'a/hidden', 'a/hidden-and-covered', 'a/left', 'b/hidden']) {
        expect(await read(reading, key), key).toBe(`truth of ${key}`);
        expect(await reading.stat(key, { signal }), key).toMatchObject({ bytes: `truth of ${key}`.length });
        const tail = await reading.open(key, { signal, range: { offset: -3 } });
        expect((await bytesOf(tail?.chunks)).toString()).toBe(key.slice(-3));
      }
      const told = new Set(strangers.map(({ kind, key }) => `${kind} ${key}`));
      const hidden = options.markers ? 'delete-marker' : 'hidden';
      expect(told).toEqual(
        new Set([
          'later-version a/covered',
          `${hidden} a/hidden`,
          'later-version a/hidden-and-covered',
          ...(options.markers ? ['delete-marker a/hidden-and-covered'] : []),
          `${hidden} b/hidden`,
        ]),
      );
    });

    it('lists every name once, with its oldest version, folded and not', async () => {
      const { reading } = await fresh();
      const listed = await collected(reading.list('', { signal }));
      expect(listed.map((entry) => (entry.kind === 'object' ? `${entry.key} ${entry.bytes}` : entry.prefix))).toEqual(
        ['a/covered', 'a/hidden', 'a/hidden-and-covered', 'a/left', 'b/hidden'].map(
          (key) => `${key} ${`truth of ${key}`.length}`,
        ),
      );
      expect(await names(reading, '', { delimited: true })).toEqual(['a/', 'b/']);
      expect(await names(reading, 'a/', { after: 'a/hidden', limit: 1 })).toContain('a/hidden-and-covered');
    });

    it('proves absence, beside much that is not', async () => {
      const { reading } = await fresh();
      for (const key of ['a/cover', 'a/coverec', 'a/hidde', 'a/hidden-', 'a/hidden0', 'a', 'b', 'c']) {
        expect(await read(reading, key), key).toBeUndefined();
        expect(await reading.stat(key, { signal }), key).toBeUndefined();
        expect(await reading.candidates?.(key, { signal }), key).toEqual([]);
      }
    });

    it('gives all versions as candidates, oldest first, each to be read', async () => {
      const { reading } = await fresh();
      const candidates = (await reading.candidates?.('a/hidden-and-covered', { signal })) ?? [];
      const contents: (string | undefined)[] = [];
      for (const { key, version } of candidates) contents.push(await read(reading, key, version));
      expect(contents).toEqual(['truth of a/hidden-and-covered', 'a lie']);
    });

    it('reads on through a directory of which everything was covered after the first reading', async () => {
      const { raw, reading } = await fresh();
      const keys = Array.from({ length: 30 }, (_, at) => `wal/${100 + at}`);
      for (const key of keys) await put(raw.store, key, `truth of ${key}`);
      for (const key of keys.slice(0, 10)) expect(await read(reading, key)).toBe(`truth of ${key}`);
      for (const key of keys.slice(5, 20)) await raw.overwrite(key, Buffer.from('a lie'));
      for (const key of keys) expect(await read(reading, key)).toBe(`truth of ${key}`);
    });
  });
}

interface Meddled {
  raw: VersionedStore;
  reading: Store;
  strangers: Stranger[];
}

async function meddled(raw: VersionedStore): Promise<Meddled> {
  const { store, overwrite, hide } = raw;
  for (const key of ['a/covered', 'a/hidden', 'a/hidden-and-covered', 'a/left', 'b/hidden']) {
    await put(store, key, `truth of ${key}`);
  }
  await overwrite('a/covered', Buffer.from('a lie that is longer than the truth'));
  for (const key of ['a/hidden', 'a/hidden-and-covered', 'b/hidden']) await hide(key);
  await overwrite('a/hidden-and-covered', Buffer.from('a lie'));
  const { versions, ...rest } = store;
  if (versions === undefined) throw new Error('the store keeps no versions');
  const strangers: Stranger[] = [];
  const reading = withVersions({ ...rest, versions }, { onStranger: (stranger) => void strangers.push(stranger) });
  return { raw, reading, strangers };
}

async function put(store: Store, key: string, content: string): Promise<void> {
  expect(await store.create(key, { kind: 'buffer', bytes: Buffer.from(content) }, { signal })).toBe('created');
}

async function read(store: Store, key: string, version?: string): Promise<string | undefined> {
  const opened = await store.open(key, version === undefined ? { signal } : { signal, version });
  return opened === undefined ? undefined : (await bytesOf(opened.chunks)).toString();
}

async function names(store: Store, prefix: string, options: Partial<ListOptions>): Promise<string[]> {
  const entries = await collected(store.list(prefix, { signal, ...options }));
  return entries.map((entry) => (entry.kind === 'object' ? entry.key : entry.prefix));
}
