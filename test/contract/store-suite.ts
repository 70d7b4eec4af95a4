/** What `src/store/store.ts` promises, as tests. Every store and every decorator passes all of it. */
import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WalholdError } from '../../src/base/errors.ts';
import type { ListEntry, ListOptions, Store } from '../../src/store/store.ts';
import { bytesOf, collected, patternBytes, pieces } from '../support/bytes.ts';

export interface StoreUnderTest {
  /** Empty, in a place of its own. */
  store: Store;
  dispose(): Promise<void>;
}

export interface SuiteOptions {
  /** Runs before the first store is made; may start a server. */
  start?: () => Promise<void>;
  stop?: () => Promise<void>;
  /** How large a stream must be to go in several parts. */
  severalPartsBytes?: number;
  /** Why the server behind cannot promise a single winner. */
  racy?: string;
}

const { signal } = new AbortController();

export function storeSuite(name: string, makeStore: () => Promise<StoreUnderTest>, options: SuiteOptions = {}): void {
  describe(name, () => {
    const made: StoreUnderTest[] = [];
    const fresh = async (): Promise<Store> => {
      const one = await makeStore();
      made.push(one);
      return one.store;
    };
    beforeAll(async () => options.start?.());
    afterEach(async () => {
      for (const one of made.splice(0)) await one.dispose();
    });
    afterAll(async () => options.stop?.());

    objects(fresh);
    ranges(fresh);
    listings(fresh);
    streams(fresh, options);
    races(fresh, options);
    aborts(fresh);
    names(fresh);
  });
}

type Fresh = () => Promise<Store>;

function objects(fresh: Fresh): void {
  it('gives back what was created, with the same facts from stat, open and list', async () => {
    const store = await fresh();
    const bytes = patternBytes(100_000);
    expect(await put(store, 'wal/00000001/a.zst', bytes)).toBe('created');
    const opened = await store.open('wal/00000001/a.zst', { signal });
    expect(bytes.equals(await bytesOf(opened?.chunks))).toBe(true);
    const info = await store.stat('wal/00000001/a.zst', { signal });
    expect(info).toMatchObject({ key: 'wal/00000001/a.zst', bytes: 100_000 });
    expect(info?.tag).not.toBe('');
    expect(Math.abs((info?.storedAt.getTime() ?? 0) - Date.now())).toBeLessThan(60_000);
    expect(opened?.info).toMatchObject({ key: info?.key, bytes: info?.bytes, tag: info?.tag });
    const [listed] = await all(store, '');
    expect(listed).toMatchObject({ kind: 'object', key: info?.key, bytes: info?.bytes, tag: info?.tag });
  });

  it('answers undefined for what is not there, whatever lies beside it', async () => {
    const store = await fresh();
    await put(store, 'a/b/c', 'x');
    for (const key of ['none', 'a', 'a/b', 'a/b/d', 'a/b/c/d', 'a/b/c.zst', 'x/y/z']) {
      expect(await store.stat(key, { signal }), `stat ${key}`).toBeUndefined();
      expect(await store.open(key, { signal }), `open ${key}`).toBeUndefined();
    }
  });

  it('keeps the first object when the key is taken', async () => {
    const store = await fresh();
    expect(await put(store, 'k', 'first')).toBe('created');
    expect(await put(store, 'k', 'second')).toBe('exists');
    expect(await put(store, 'k', 'first')).toBe('exists');
    expect(await read(store, 'k')).toBe('first');
    expect(await keys(store, '')).toEqual(['k']);
  });

  it('stores an object without bytes', async () => {
    const store = await fresh();
    expect(await put(store, 'empty', '')).toBe('created');
    expect(await store.stat('empty', { signal })).toMatchObject({ bytes: 0 });
    expect(await read(store, 'empty')).toBe('');
    expect(await put(store, 'empty', 'more')).toBe('exists');
  });

  it('tells two objects apart by their tags', async () => {
    const store = await fresh();
    await put(store, 'one', 'aaaa');
    await put(store, 'two', 'bbbb');
    const [one, two] = [await store.stat('one', { signal }), await store.stat('two', { signal })];
    expect(one?.tag).not.toBe(two?.tag);
  });

  it('goes on after a reader has broken off', async () => {
    const store = await fresh();
    await put(store, 'big', patternBytes(3_000_000));
    for (let round = 0; round < 5; round += 1) {
      const opened = await store.open('big', { signal });
      for await (const chunk of opened?.chunks ?? []) {
        expect(chunk.byteLength).toBeGreaterThan(0);
        break;
      }
    }
    expect(await store.stat('big', { signal })).toMatchObject({ bytes: 3_000_000 });
  });
}

function ranges(fresh: Fresh): void {
  it('reads ranges, from either end and across the end', async () => {
    const store = await fresh();
    await put(store, 'ten', '0123456789');
    const cases: [{ offset: number; bytes?: number }, string][] = [
      [{ offset: 0 }, '0123456789'],
      [{ offset: 0, bytes: 1 }, '0'],
      [{ offset: 2, bytes: 3 }, '234'],
      [{ offset: 7 }, '789'],
      [{ offset: 7, bytes: 100 }, '789'],
      [{ offset: 9, bytes: 1 }, '9'],
      [{ offset: 10 }, ''],
      [{ offset: 10, bytes: 5 }, ''],
      [{ offset: 1000, bytes: 5 }, ''],
      [{ offset: 3, bytes: 0 }, ''],
      [{ offset: -1 }, '9'],
      [{ offset: -4 }, '6789'],
      [{ offset: -10 }, '0123456789'],
      [{ offset: -11 }, '0123456789'],
    ];
    for (const [range, expected] of cases) {
      const opened = await store.open('ten', { signal, range });
      expect((await bytesOf(opened?.chunks)).toString(), JSON.stringify(range)).toBe(expected);
      expect(opened?.info, JSON.stringify(range)).toMatchObject({ key: 'ten', bytes: 10 });
    }
  });

  it('reads ranges of an object without bytes, and none of what is absent', async () => {
    const store = await fresh();
    await put(store, 'empty', '');
    for (const range of [{ offset: 0 }, { offset: 0, bytes: 4 }, { offset: -4 }, { offset: 4 }]) {
      const opened = await store.open('empty', { signal, range });
      expect(opened?.info.bytes).toBe(0);
      expect((await bytesOf(opened?.chunks)).byteLength).toBe(0);
      expect(await store.open('none', { signal, range })).toBeUndefined();
    }
  });

  it('gives a range the tag of the whole', async () => {
    const store = await fresh();
    await put(store, 'ten', '0123456789');
    const whole = await store.stat('ten', { signal });
    const part = await store.open('ten', { signal, range: { offset: -2 } });
    await bytesOf(part?.chunks);
    expect(part?.info.tag).toBe(whole?.tag);
  });
}

/** In the order of their bytes: `-` and `.` before `/`, digits and letters after it. */
const ORDERED = [
  'a-b',
  'a.b',
  'a/b',
  'a/b-',
  'a/b.c/d',
  'a/b/c',
  'a/b0',
  'a0',
  'aA/x',
  'aB',
  'a_',
  'b',
  'b.zst/c',
].filter(
  // A file cannot be a directory too; on S3 it could.
  (key) => key !== 'a/b' && key !== 'b',
);

function listings(fresh: Fresh): void {
  const filled = async (): Promise<Store> => {
    const store = await fresh();
    for (const key of ORDERED.toReversed()) await put(store, key, key);
    return store;
  };

  it('lists nothing in an empty store', async () => {
    const store = await fresh();
    expect(await all(store, '')).toEqual([]);
    expect(await all(store, 'wal/00000001/')).toEqual([]);
    expect(await all(store, '', { delimited: true })).toEqual([]);
  });

  it('lists in the order of the bytes of the keys, from any prefix', async () => {
    const store = await filled();
    for (const prefix of ['', 'a', 'a/', 'a/b', 'a/b/', 'a/b.', 'a0', 'b.zst/c', 'c', 'a/b/c/']) {
      expect(await keys(store, prefix), prefix).toEqual(ORDERED.filter((key) => key.startsWith(prefix)));
    }
  });

  it('starts after any key, there or not', async () => {
    const store = await filled();
    for (const prefix of ['', 'a/']) {
      for (const after of [...ORDERED, 'A', 'a', 'a/', 'a/b', 'a/b/', 'a/b/b', 'a/b/d', 'zz', '0']) {
        const expected = ORDERED.filter((key) => key.startsWith(prefix) && key > after);
        expect(await keys(store, prefix, { after }), `${prefix} after ${after}`).toEqual(expected);
      }
    }
  });

  it('folds directories that hold anything', async () => {
    const store = await filled();
    expect(await keys(store, '', { delimited: true })).toEqual(['a-b', 'a.b', 'a/', 'a0', 'aA/', 'aB', 'a_', 'b.zst/']);
    expect(await keys(store, 'a/', { delimited: true })).toEqual(['a/b-', 'a/b.c/', 'a/b/', 'a/b0']);
    expect(await keys(store, 'a/b', { delimited: true })).toEqual(['a/b-', 'a/b.c/', 'a/b/', 'a/b0']);
    expect(await keys(store, 'a/b/', { delimited: true })).toEqual(['a/b/c']);
  });

  it('folds the directories that hold something after a key, and no others', async () => {
    const store = await filled();
    const after = (key: string): Promise<string[]> => keys(store, '', { delimited: true, after: key });
    expect(await after('a')).toEqual(['a-b', 'a.b', 'a/', 'a0', 'aA/', 'aB', 'a_', 'b.zst/']);
    expect(await after('a.b')).toEqual(['a/', 'a0', 'aA/', 'aB', 'a_', 'b.zst/']);
    expect(await after('a/')).toEqual(['a0', 'aA/', 'aB', 'a_', 'b.zst/']);
    expect(await after('a/b.c/c')).toEqual(['a/', 'a0', 'aA/', 'aB', 'a_', 'b.zst/']);
    expect(await after('aB')).toEqual(['a_', 'b.zst/']);
  });

  it('takes a limit as a wish, and the rest can be asked for', async () => {
    const store = await filled();
    const found: string[] = [];
    for (let rounds = 0; rounds < 50; rounds += 1) {
      const after = found.at(-1);
      const some = await keys(store, '', { limit: 3, ...(after === undefined ? {} : { after }) });
      if (some.length === 0) break;
      found.push(...some);
    }
    expect(found).toEqual(ORDERED);
    expect((await keys(store, '', { limit: 1 })).length).toBeGreaterThan(0);
  });

  it('lists several pages without loss or repetition', async () => {
    const store = await fresh();
    const expected = Array.from({ length: 130 }, (_, at) => `wal/00000001/${String(at).padStart(8, '0')}.zst`);
    await Promise.all(expected.map((key) => put(store, key, 'x')));
    expect(await keys(store, 'wal/')).toEqual(expected);
    expect(await keys(store, '', { delimited: true })).toEqual(['wal/']);
    expect(await keys(store, 'wal/', { after: expected[99] as string })).toEqual(expected.slice(100));
  });
}

function streams(fresh: Fresh, options: SuiteOptions): void {
  const several = options.severalPartsBytes ?? 3_000_000;

  it.each([0, 1, 70_000, several])('stores a stream of %i bytes whole', async (size) => {
    const store = await fresh();
    const bytes = patternBytes(size);
    expect(await store.create('part', { kind: 'stream', chunks: pieces(bytes, 66_001) }, { signal })).toBe('created');
    const opened = await store.open('part', { signal });
    expect(opened?.info.bytes).toBe(size);
    expect(digest(await bytesOf(opened?.chunks))).toBe(digest(bytes));
    const tail = await store.open('part', { signal, range: { offset: -10 } });
    expect((await bytesOf(tail?.chunks)).equals(bytes.subarray(-10))).toBe(true);
  });

  it.each([10, several])('keeps the first object when a stream of %i bytes meets a taken key', async (size) => {
    const store = await fresh();
    await put(store, 'part', 'first');
    const body = { kind: 'stream' as const, chunks: pieces(patternBytes(size), 100_000) };
    expect(await store.create('part', body, { signal })).toBe('exists');
    expect(await read(store, 'part')).toBe('first');
  });

  it.each([10, several])('leaves nothing when a stream breaks after %i bytes', async (size) => {
    const store = await fresh();
    async function* breaking(): AsyncGenerator<Uint8Array> {
      yield* pieces(patternBytes(size), 100_000);
      throw new WalholdError('server', 'the source failed');
    }
    const creating = store.create('part', { kind: 'stream', chunks: breaking() }, { signal });
    await expect(creating).rejects.toMatchObject({ code: 'server', message: 'the source failed' });
    expect(await store.stat('part', { signal })).toBeUndefined();
    expect(await all(store, '')).toEqual([]);
    expect(await put(store, 'part', 'again')).toBe('created');
  });
}

function races(fresh: Fresh, options: SuiteOptions): void {
  if (options.racy !== undefined) {
    it.skip(`lets one of many writers win (${options.racy})`, () => undefined);
    return;
  }
  it('lets exactly one of twenty writers of a key win, and all see its bytes', async () => {
    const store = await fresh();
    for (let round = 0; round < 5; round += 1) {
      const key = `race/${round}`;
      const results = await Promise.all(
        Array.from({ length: 20 }, async (_, writer) => {
          const result = await put(store, key, patternBytes(50_000, writer));
          return { result, writer, seen: digest(await bytesOf((await store.open(key, { signal }))?.chunks)) };
        }),
      );
      const winners = results.filter(({ result }) => result === 'created');
      expect(winners).toHaveLength(1);
      const winning = digest(patternBytes(50_000, winners[0]?.writer));
      expect(new Set(results.map(({ seen }) => seen))).toEqual(new Set([winning]));
    }
  });
}

function aborts(fresh: Fresh): void {
  const reason = new WalholdError('interrupted', 'told to stop');

  it('does nothing once the signal has aborted', async () => {
    const store = await fresh();
    const aborted = { signal: AbortSignal.abort(reason) };
    await expect(store.create('k', { kind: 'buffer', bytes: Buffer.from('x') }, aborted)).rejects.toBe(reason);
    await expect(store.stat('k', aborted)).rejects.toBe(reason);
    await expect(store.open('k', aborted)).rejects.toBe(reason);
    await expect(all(store, '', aborted)).rejects.toBe(reason);
    expect(await all(store, '')).toEqual([]);
  });

  it('ends a create whose source never goes on, and leaves nothing', async () => {
    const store = await fresh();
    const controller = new AbortController();
    async function* stuck(): AsyncGenerator<Uint8Array> {
      yield patternBytes(1000);
      controller.abort(reason);
      await new Promise(() => undefined);
    }
    const creating = store.create('part', { kind: 'stream', chunks: stuck() }, { signal: controller.signal });
    await expect(creating).rejects.toBe(reason);
    expect(await store.stat('part', { signal })).toBeUndefined();
    expect(await all(store, '')).toEqual([]);
  });

  it('ends a reading with the reason', async () => {
    const store = await fresh();
    await put(store, 'big', patternBytes(8_000_000));
    const controller = new AbortController();
    const opened = await store.open('big', { signal: controller.signal });
    const reading = (async () => {
      for await (const chunk of opened?.chunks ?? []) if (chunk.byteLength > 0) controller.abort(reason);
    })();
    await expect(reading).rejects.toBe(reason);
  });
}

function names(fresh: Fresh): void {
  it.each([
    '',
    '/',
    '/a',
    'a/',
    'a//b',
    '.',
    '..',
    '../a',
    'a/../b',
    'a/./b',
    '.a',
    'a/.b',
    'a b',
    'a\nb',
    'ä',
    'a\\b',
    'a%2fb',
  ])('refuses %j as a key', async (key) => {
    const store = await fresh();
    const refusal = { code: 'bad-format' };
    await expect(store.stat(key, { signal })).rejects.toMatchObject(refusal);
    await expect(store.open(key, { signal })).rejects.toMatchObject(refusal);
    await expect(put(store, key, 'x')).rejects.toMatchObject(refusal);
  });
}

function put(store: Store, key: string, content: string | Buffer): Promise<'created' | 'exists'> {
  return store.create(key, { kind: 'buffer', bytes: Buffer.from(content) }, { signal });
}

async function read(store: Store, key: string): Promise<string> {
  return (await bytesOf((await store.open(key, { signal }))?.chunks)).toString();
}

async function all(store: Store, prefix: string, options: Partial<ListOptions> = {}): Promise<ListEntry[]> {
  return collected(store.list(prefix, { signal, ...options }));
}

async function keys(store: Store, prefix: string, options: Partial<ListOptions> = {}): Promise<string[]> {
  return (await all(store, prefix, options)).map((entry) => (entry.kind === 'object' ? entry.key : entry.prefix));
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
