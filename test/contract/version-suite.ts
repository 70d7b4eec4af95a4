/** What `src/store/store.ts` promises of versions, as tests. Every store that keeps versions passes all of it. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ListOptions, Store, StoreVersions, VersionEntry } from '../../src/store/store.ts';
import { bytesOf, collected } from '../support/bytes.ts';

export interface VersionedStore {
  /** Empty, in a place of its own that keeps versions. */
  store: Store;
  /** Writes over whatever is there, as somebody else would. Resolves to the new version's identifier. */
  overwrite: (key: string, bytes: Buffer) => Promise<string>;
  /** Deletes the name without a version, as somebody else would. */
  hide: (key: string) => Promise<void>;
  dispose(): Promise<void>;
}

export interface VersionSuiteOptions {
  /** Runs before the first store is made; may start a server. */
  start?: () => Promise<void>;
  stop?: () => Promise<void>;
  /** Whether deleting a name leaves a marker that is listed. */
  markers: boolean;
}

const { signal } = new AbortController();

export function versionSuite(
  name: string,
  makeStore: () => Promise<VersionedStore>,
  options: VersionSuiteOptions,
): void {
  describe(`${name}, with versions`, () => {
    const made: VersionedStore[] = [];
    const fresh = async (): Promise<VersionedStore> => {
      const one = await makeStore();
      made.push(one);
      return one;
    };
    beforeAll(async () => options.start?.());
    afterEach(async () => {
      for (const one of made.splice(0)) await one.dispose();
    });
    afterAll(async () => options.stop?.());

    readings(fresh, options);
    histories(fresh, options);
    listings(fresh, options);
  });
}

type Fresh = () => Promise<VersionedStore>;

function readings(fresh: Fresh, options: VersionSuiteOptions): void {
  it('reads any version by its identifier, whatever covers it', async () => {
    const { store, overwrite, hide } = await fresh();
    await put(store, 'k', 'first');
    const first = (await store.stat('k', { signal }))?.version;
    const second = await overwrite('k', Buffer.from('the second'));
    await hide('k');
    const third = await overwrite('k', Buffer.from('third'));
    const contents: [string | undefined, string][] = [
      [first, 'first'],
      [second, 'the second'],
      [third, 'third'],
    ];
    expect(new Set(contents.map(([version]) => version)).size).toBe(3);
    for (const [version = '', content] of contents) {
      expect(await store.stat('k', { signal, version })).toMatchObject({ key: 'k', version, bytes: content.length });
      const opened = await store.open('k', { signal, version });
      expect((await bytesOf(opened?.chunks)).toString()).toBe(content);
      expect(opened?.info).toMatchObject({ key: 'k', version, bytes: content.length });
      const tail = await store.open('k', { signal, version, range: { offset: -2 } });
      expect((await bytesOf(tail?.chunks)).toString()).toBe(content.slice(-2));
      const beyond = await store.open('k', { signal, version, range: { offset: 100 } });
      expect(beyond?.info).toMatchObject({ version, bytes: content.length });
    }
    expect(await store.stat('k', { signal })).toMatchObject({ version: third });
  });

  it('gives undefined for a version that is not there', async () => {
    const { store, overwrite } = await fresh();
    const version = await overwrite('a', Buffer.from('x'));
    await put(store, 'b', 'y');
    expect(await store.stat('b', { signal, version })).toBeUndefined();
    expect(await store.open('b', { signal, version })).toBeUndefined();
    expect(await store.stat('none', { signal, version })).toBeUndefined();
  });

  it('takes no hidden name for an absent one', async () => {
    const { store, hide } = await fresh();
    await put(store, 'k', 'content');
    await hide('k');
    await expect(store.stat('k', { signal })).rejects.toMatchObject({ code: 'damaged' });
    await expect(store.open('k', { signal })).rejects.toMatchObject({ code: 'damaged' });
    expect(await versionKeys(store, 'k')).toEqual(options.markers ? ['k', 'k (marker)'] : ['k']);
  });

  it('takes no marker for a version, nor for nothing', async () => {
    const { store, hide } = await fresh();
    await put(store, 'k', 'content');
    await hide('k');
    const marker = (await all(store, 'k')).find((entry) => entry.kind === 'marker');
    expect(marker === undefined).toBe(!options.markers);
    if (marker === undefined) return;
    const { version } = marker;
    await expect(store.stat('k', { signal, version })).rejects.toMatchObject({ code: 'damaged' });
    await expect(store.open('k', { signal, version })).rejects.toMatchObject({ code: 'damaged' });
  });
}

function histories(fresh: Fresh, options: VersionSuiteOptions): void {
  it('lists the versions of each key, oldest first, with the facts of each', async () => {
    const { store, overwrite, hide } = await fresh();
    await put(store, 'a', 'first');
    const second = await overwrite('a', Buffer.from('the second'));
    await hide('a');
    const last = await overwrite('a', Buffer.from('last'));
    await put(store, 'b', 'only');
    const entries = await all(store, '');
    const versions = entries.filter((entry) => entry.kind === 'version');
    expect(versions.map(({ key, bytes, current }) => [key, bytes, current])).toEqual([
      ['a', 5, false],
      ['a', 10, false],
      ['a', 4, true],
      ['b', 4, true],
    ]);
    expect(versions.map(({ version }) => version).slice(1, 3)).toEqual([second, last]);
    for (const { key, version, tag, bytes } of versions) {
      expect(await store.stat(key, { signal, version })).toMatchObject({ tag, bytes });
    }
    const kinds = entries.map((entry) => entry.kind);
    if (options.markers) expect(kinds).toEqual(['version', 'version', 'marker', 'version', 'version']);
    else expect(kinds).not.toContain('marker');
  });

  it('lists a name that somebody reserved with a marker before it was written', async () => {
    const { store, hide } = await fresh();
    await hide('k');
    expect(await put(store, 'k', 'content')).toBe('created');
    // Not every server takes a marker for a name that is not there.
    const found = await versionKeys(store, '');
    expect(found.slice(-1)).toEqual(['k']);
    for (const before of found.slice(0, -1)) expect(before).toBe('k (marker)');
    expect((await bytesOf((await store.open('k', { signal }))?.chunks)).toString()).toBe('content');
  });

  it('lists many versions of one key in order', async () => {
    const { store, overwrite } = await fresh();
    await put(store, 'a', '0');
    const expected = [(await store.stat('a', { signal }))?.version];
    for (let at = 1; at <= 12; at += 1) expected.push(await overwrite('a', Buffer.from(String(at))));
    await put(store, 'b', 'x');
    const entries = (await all(store, 'a')).filter((entry) => entry.kind === 'version');
    expect(entries.map(({ version }) => version)).toEqual(expected);
    expect(entries.map(({ current }) => current)).toEqual([...Array<boolean>(12).fill(false), true]);
  });
}

const KEYS = ['a-b', 'a.b', 'a/b-', 'a/b/c', 'a/b0', 'a0', 'aA/x', 'aB', 'b.zst/c'];

function listings(fresh: Fresh, options: VersionSuiteOptions): void {
  /** Each key twice, the second half hidden after that. */
  const filled = async (): Promise<Store> => {
    const { store, overwrite, hide } = await fresh();
    for (const key of KEYS.toReversed()) {
      await put(store, key, key);
      await overwrite(key, Buffer.from('later'));
    }
    for (const key of KEYS.slice(5)) await hide(key);
    return store;
  };
  const listed = (key: string): string[] =>
    options.markers && KEYS.indexOf(key) >= 5 ? [key, key, `${key} (marker)`] : [key, key];

  it('lists nothing where nothing is', async () => {
    const { store } = await fresh();
    expect(await all(store, '')).toEqual([]);
    expect(await all(store, 'wal/', { delimited: true })).toEqual([]);
  });

  it('lists in the order of the keys, from any prefix', async () => {
    const store = await filled();
    for (const prefix of ['', 'a', 'a/', 'a/b', 'a/b/', 'a0', 'b.zst/c', 'c']) {
      const expected = KEYS.filter((key) => key.startsWith(prefix)).flatMap(listed);
      expect(await versionKeys(store, prefix), prefix).toEqual(expected);
    }
  });

  it('starts after any key, there or not', async () => {
    const store = await filled();
    for (const prefix of ['', 'a/']) {
      for (const after of [...KEYS, 'A', 'a', 'a/', 'a/b', 'a/b/', 'a/b/b', 'a/b/d', 'zz', '0']) {
        const expected = KEYS.filter((key) => key.startsWith(prefix) && key > after).flatMap(listed);
        expect(await versionKeys(store, prefix, { after }), `${prefix} after ${after}`).toEqual(expected);
      }
    }
  });

  it('folds directories, those too in which everything is hidden', async () => {
    const store = await filled();
    const fold = (prefix: string, after?: string): Promise<string[]> =>
      versionKeys(store, prefix, { delimited: true, ...(after === undefined ? {} : { after }) });
    const top = ['a-b', 'a.b', 'a/', 'a0', 'aA/', 'aB', 'b.zst/'];
    const shown = (names: string[]): string[] => names.flatMap((name) => (name.endsWith('/') ? [name] : listed(name)));
    expect(await fold('')).toEqual(shown(top));
    expect(await fold('a/')).toEqual(shown(['a/b-', 'a/b/', 'a/b0']));
    expect(await fold('', 'a.b')).toEqual(shown(top.slice(2)));
    expect(await fold('', 'a/')).toEqual(shown(top.slice(3)));
    expect(await fold('', 'a/b')).toEqual(shown(top.slice(2)));
    expect(await fold('', 'aB')).toEqual(shown(['b.zst/']));
  });

  it.each([1, 2, 3, 4])(
    'takes a limit of %i as a wish, gives whole keys, and the rest can be asked for',
    async (limit) => {
      const store = await filled();
      const found: string[] = [];
      let after: string | undefined;
      for (let rounds = 0; rounds < 50; rounds += 1) {
        const some = await all(store, '', { limit, ...(after === undefined ? {} : { after }) });
        if (some.length === 0) break;
        found.push(...some.map(nameOf));
        const last = some.at(-1);
        after = last === undefined || last.kind === 'directory' ? after : last.key;
      }
      expect(found).toEqual(KEYS.flatMap(listed));
    },
  );

  it('does nothing once the signal has aborted', async () => {
    const { store } = await fresh();
    const reason = new Error('told to stop');
    await expect(all(store, '', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
}

async function put(store: Store, key: string, content: string): Promise<'created' | 'exists'> {
  return store.create(key, { kind: 'buffer', bytes: Buffer.from(content) }, { signal });
}

function versionsOf(store: Store): StoreVersions {
  if (store.versions === undefined) throw new Error('the store has no versions');
  return store.versions;
}

function all(store: Store, prefix: string, options: Partial<ListOptions> = {}): Promise<VersionEntry[]> {
  return collected(versionsOf(store).list(prefix, { signal, ...options }));
}

function nameOf(entry: VersionEntry): string {
  switch (entry.kind) {
    case 'version':
      return entry.key;
    case 'marker':
      return `${entry.key} (marker)`;
    case 'directory':
      return entry.prefix;
  }
}

async function versionKeys(store: Store, prefix: string, options: Partial<ListOptions> = {}): Promise<string[]> {
  return (await all(store, prefix, options)).map(nameOf);
}
