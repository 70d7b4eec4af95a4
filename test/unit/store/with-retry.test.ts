import { describe, expect, it } from 'vitest';
import { WalholdError } from '../../../src/base/errors.ts';
import { retryPolicy } from '../../../src/store/retry.ts';
import type {
  ByteRange,
  ListEntry,
  ListOptions,
  ObjectInfo,
  OpenedObject,
  ReadOptions,
  Store,
  StoreLocks,
  VersionEntry,
} from '../../../src/store/store.ts';
import { withRetry } from '../../../src/store/with-retry.ts';
import { bytesOf, collected, patternBytes } from '../../support/bytes.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const { signal } = new AbortController();
const down = new WalholdError('unreachable', 'could not', { detail: 'down' });
const content = patternBytes(1000);

const infoOf = (key: string, tag = 'tag-1'): ObjectInfo => ({ key, bytes: 1000, storedAt: new Date(0), tag });

/** A store of which only `parts` works. */
function storeOf(parts: Partial<Store>): Store {
  const missing = (): never => {
    throw new Error('not part of this test');
  };
  const { stat = missing, open = missing, list = missing, create = missing } = parts;
  return { url: 'x://place', close: () => Promise.resolve(), ...parts, stat, open, list, create };
}

function retrying(parts: Partial<Store>, tries?: number): Store {
  const limit = tries === undefined ? {} : { tries };
  const clock = new ManualClock();
  clock.sleep = (ms, cancel) => (ms === 60_000 ? neverUnless(cancel) : Promise.resolve());
  return withRetry(storeOf(parts), retryPolicy({ clock, random: () => 0, requestTimeoutMs: 60_000, ...limit }));
}

function neverUnless(cancel: AbortSignal | undefined): Promise<void> {
  return new Promise((_, reject) => cancel?.addEventListener('abort', () => reject(new Error('cancelled'))));
}

/** A body that breaks each time after the next of `breaks` bytes, until there are none. */
function breaking(breaks: number[], tags: string[] = []): { open: Store['open']; ranges: (ByteRange | undefined)[] } {
  const ranges: (ByteRange | undefined)[] = [];
  const open: Store['open'] = (key, { range }) => {
    ranges.push(range);
    const from = range === undefined ? 0 : range.offset < 0 ? 1000 + range.offset : range.offset;
    const to = Math.min(1000, range?.bytes === undefined ? 1000 : from + range.bytes);
    const until = breaks.shift();
    const opened: OpenedObject = { info: infoOf(key, tags.shift()), chunks: body(from, to, until) };
    return Promise.resolve(opened);
  };
  return { open, ranges };
}

// eslint-disable-next-line typescript/require-await -- a body that is there at once
async function* body(from: number, to: number, until = Infinity): AsyncGenerator<Uint8Array> {
  for (let at = from; at < to; at += 100) {
    if (at - from >= until) throw down;
    yield content.subarray(at, Math.min(to, at + 100));
  }
  if (until <= to - from) throw down;
}

describe('the retry decorator', () => {
  it('repeats stat, open and the creation of a buffer', async () => {
    let calls = 0;
    const twice = <T>(answer: T) => {
      let left = 2;
      return (): Promise<T> => {
        calls += 1;
        left -= 1;
        return left >= 0 ? Promise.reject(down) : Promise.resolve(answer);
      };
    };
    const store = retrying({ stat: twice(undefined), open: twice(undefined), create: twice('created' as const) });
    expect(await store.stat('k', { signal })).toBeUndefined();
    expect(await store.open('k', { signal })).toBeUndefined();
    const body = { kind: 'buffer' as const, bytes: content };
    expect(await store.create('k', body, { signal })).toBe('created');
    expect(calls).toBe(9);
  });

  it('does not repeat the creation from a stream, whose bytes are gone', async () => {
    let calls = 0;
    const create: Store['create'] = () => {
      calls += 1;
      return Promise.reject(down);
    };
    const creating = retrying({ create }).create('k', { kind: 'stream', chunks: body(0, 10) }, { signal });
    await expect(creating).rejects.toBe(down);
    expect(calls).toBe(1);
  });

  it('resumes a body where it broke', async () => {
    const source = breaking([300, 0, 200]);
    const opened = await retrying({ open: source.open }).open('k', { signal });
    expect((await bytesOf(opened?.chunks)).equals(content)).toBe(true);
    expect(source.ranges).toEqual([
      undefined,
      { offset: 300, bytes: 700 },
      { offset: 300, bytes: 700 },
      { offset: 500, bytes: 500 },
    ]);
  });

  it.each([
    [{ offset: 100, bytes: 450 }, 100, 550],
    [{ offset: -250 }, 750, 1000],
    [{ offset: -5000 }, 0, 1000],
    [{ offset: 900, bytes: 500 }, 900, 1000],
  ])('resumes a range where it broke: %j', async (range, from, to) => {
    const source = breaking([0, 0]);
    const opened = await retrying({ open: source.open }).open('k', { signal, range });
    expect((await bytesOf(opened?.chunks)).equals(content.subarray(from, to))).toBe(true);
    expect(source.ranges.length).toBeGreaterThan(1);
    for (const asked of source.ranges.slice(1)) expect((asked?.offset ?? 0) + (asked?.bytes ?? 0)).toBe(to);
  });

  it('is content when a body breaks after its last byte', async () => {
    const source = breaking([1000]);
    const opened = await retrying({ open: source.open }).open('k', { signal });
    expect((await bytesOf(opened?.chunks)).equals(content)).toBe(true);
    expect(source.ranges).toHaveLength(1);
  });

  it('does not join the bytes of two different objects', async () => {
    const source = breaking([300], ['tag-1', 'tag-2']);
    const opened = await retrying({ open: source.open }).open('k', { signal });
    await expect(bytesOf(opened?.chunks)).rejects.toMatchObject({ code: 'damaged' });
  });

  it('calls an object that vanished while it was read damaged', async () => {
    const source = breaking([300]);
    let calls = 0;
    const open: Store['open'] = (key, options) => {
      calls += 1;
      return calls === 1 ? source.open(key, options) : Promise.resolve(undefined);
    };
    const opened = await retrying({ open }).open('k', { signal });
    await expect(bytesOf(opened?.chunks)).rejects.toMatchObject({ code: 'damaged' });
  });

  it('passes on a failure of the body that is an answer', async () => {
    const denied = new WalholdError('denied', 'no');
    // eslint-disable-next-line typescript/require-await, require-yield -- fails at once
    async function* refused(): AsyncGenerator<Uint8Array> {
      throw denied;
    }
    const open: Store['open'] = () => Promise.resolve({ info: infoOf('k'), chunks: refused() });
    const opened = await retrying({ open }).open('k', { signal });
    await expect(bytesOf(opened?.chunks)).rejects.toBe(denied);
  });

  it('goes on with a listing after the last entry delivered', async () => {
    const names = ['a', 'b', 'c', 'd', 'e'];
    const afters: (string | undefined)[] = [];
    // eslint-disable-next-line typescript/require-await -- a listing that is there at once
    async function* list(_: string, options: ListOptions): AsyncGenerator<ListEntry> {
      afters.push(options.after);
      const rest = names.filter((name) => options.after === undefined || name > options.after);
      for (const [at, name] of rest.entries()) {
        if (at === 2 || (at === 0 && afters.length === 2)) throw down;
        yield name === 'd' ? { kind: 'directory', prefix: 'd' } : { kind: 'object', ...infoOf(name) };
      }
    }
    const entries = await collected(retrying({ list }).list('', { signal }));
    expect(entries.map((entry) => (entry.kind === 'object' ? entry.key : entry.prefix))).toEqual(names);
    expect(afters).toEqual([undefined, 'b', 'b', 'd']);
  });

  it('ends a listing that never gets on with the error, after the tries it has', async () => {
    // eslint-disable-next-line typescript/require-await, require-yield -- fails at once
    async function* list(): AsyncGenerator<ListEntry> {
      throw down;
    }
    const listing = collected(retrying({ list }, 3).list('', { signal }));
    await expect(listing).rejects.toMatchObject({
      code: 'unreachable',
      detail: expect.stringContaining('3 tries') as string,
    });
  });

  it('goes on reading the version that was asked for', async () => {
    const { open } = breaking([300]);
    const asked: (string | undefined)[] = [];
    const store = retrying({
      open(key, options) {
        asked.push(options.version);
        return open(key, options);
      },
    });
    expect((await bytesOf((await store.open('k', { signal, version: 'v1' }))?.chunks)).equals(content)).toBe(true);
    expect(asked).toEqual(['v1', 'v1']);
  });

  it.each([
    ['the version it began with', undefined, ['none', 'v1']],
    ['what is current where versions may not be named', new WalholdError('denied', 'no'), ['none', 'v1', 'none']],
  ])('goes on reading %s', async (_, refusal, expected) => {
    const asked: string[] = [];
    const store = retrying({
      open: (key, { version, range }) => {
        asked.push(version ?? 'none');
        if (version !== undefined && refusal !== undefined) return Promise.reject(refusal);
        const info = { ...infoOf(key), version: 'v1' };
        return Promise.resolve({ info, chunks: body(range?.offset ?? 0, 1000, asked.length === 1 ? 400 : undefined) });
      },
    });
    const opened = await store.open('k', { signal });
    expect((await bytesOf(opened?.chunks)).equals(content)).toBe(true);
    expect(asked).toEqual(expected);
  });

  it('goes on with a listing of versions inside the key where it broke, without loss or repetition', async () => {
    const all = ['a1', 'b1', 'b2', 'b3', 'c1', 'c2', 'd1'].map(versionEntry);
    // Breaks after so many entries of each listing.
    const breaks = [3, 0, 2, 4, 1, Infinity];
    const asked: (string | undefined)[] = [];
    const { versions } = retrying({
      versions: {
        async *list(_, options: ListOptions) {
          asked.push(options.after);
          let left = breaks.shift() ?? Infinity;
          for (const entry of all) {
            if (options.after !== undefined && entry.key <= options.after) continue;
            if (left === 0) throw down;
            left -= 1;
            yield await Promise.resolve(entry);
          }
        },
      },
    });
    if (versions === undefined) throw new Error('the versions are gone');
    const listed = await collected(versions.list('', { signal }));
    expect(listed).toEqual(all);
    expect(asked).toEqual([undefined, 'a', 'a', 'a', 'b', 'b']);
  });

  it('repeats what is asked and set of locks, and the search for candidates', async () => {
    let calls = 0;
    const twice = <T>(answer: T): Promise<T> => {
      calls += 1;
      return calls % 3 === 0 ? Promise.resolve(answer) : Promise.reject(down);
    };
    const until = new Date(5);
    const locks: StoreLocks = {
      look: (_, { version }: ReadOptions) =>
        twice({ retention: version === 'v1' ? { mode: 'governance', until } : undefined, hold: false }),
      retain: (_, retention) => twice(retention),
      hold: () => twice(undefined),
      bucket: () =>
        twice({ versioning: 'on', lockable: true, defaultRetention: 'none', lifecycle: undefined, why: [] }),
    };
    const store = retrying({ locks, candidates: (key) => twice([infoOf(key)]), clockSkewMs: () => 7 });
    expect(await store.locks?.look('k', { signal, version: 'v1' })).toMatchObject({ retention: { until } });
    expect(await store.locks?.retain('k', { mode: 'compliance', until }, { signal })).toMatchObject({ until });
    await store.locks?.hold('k', true, { signal });
    expect(await store.locks?.bucket({ signal })).toMatchObject({ lockable: true });
    expect(await store.candidates?.('k', { signal })).toEqual([infoOf('k')]);
    expect(calls).toBe(15);
    expect(store.clockSkewMs?.()).toBe(7);
  });

  it('adds nothing that the store has not', () => {
    expect(Object.keys(retrying({})).sort()).toEqual(['close', 'create', 'list', 'open', 'stat', 'url']);
  });
});

/** `b2`: version 2 of key `b`. */
function versionEntry(name: string): Extract<VersionEntry, { kind: 'version' }> {
  return { kind: 'version', current: false, ...infoOf(name.slice(0, 1)), version: name.slice(1) };
}
