import { describe, expect, it } from 'vitest';
import { WalholdError } from '../../../src/base/errors.ts';
import type { ListOptions, Store, Stranger } from '../../../src/store/store.ts';
import { withVersions, type VersionOptions } from '../../../src/store/with-versions.ts';
import { bytesOf, collected } from '../../support/bytes.ts';
import { VersionedMemoryBucket } from '../../support/versioned-memory-store.ts';

const { signal } = new AbortController();
const DENIED = new WalholdError('denied', 'could not list the versions');

/** What walhold's readers see of `bucket`, and what they tell. */
function reading(
  bucket: VersionedMemoryBucket,
  options: VersionOptions = {},
): { store: Store; strangers: Stranger[]; blind: unknown[] } {
  const strangers: Stranger[] = [];
  const blind: unknown[] = [];
  const { versions, ...rest } = bucket.store;
  if (versions === undefined) throw new Error('it keeps versions');
  const told = {
    onStranger: (one: Stranger) => void strangers.push(one),
    onBlind: (error: unknown) => void blind.push(error),
  };
  return { store: withVersions({ ...rest, versions }, { ...told, ...options }), strangers, blind };
}

async function read(store: Store, key: string, version?: string): Promise<string | undefined> {
  const opened = await store.open(key, version === undefined ? { signal } : { signal, version });
  return opened === undefined ? undefined : (await bytesOf(opened.chunks)).toString();
}

async function names(store: Store, prefix: string, options: Partial<ListOptions> = {}): Promise<string[]> {
  const entries = await collected(store.list(prefix, { signal, ...options }));
  return entries.map((entry) => (entry.kind === 'object' ? `${entry.key}@${entry.version}` : entry.prefix));
}

function logOf(bucket: VersionedMemoryBucket, segments: number): string[] {
  const keys = Array.from({ length: segments }, (_, at) => `wal/1/0/${String(at).padStart(3, '0')}.zst`);
  for (const key of keys) bucket.put(key, key);
  return keys;
}

const KINDS = ['s3', 'gcs'] as const;

describe.each(KINDS)('a name on %s', (kind) => {
  it('reads as it was first written, whatever was put over it', async () => {
    const bucket = new VersionedMemoryBucket({ kind });
    const first = bucket.put('a/k', 'truth');
    const second = bucket.put('a/k', 'a lie, longer');
    const { store, strangers } = reading(bucket);
    expect(await read(store, 'a/k')).toBe('truth');
    expect(await store.stat('a/k', { signal })).toMatchObject({ bytes: 5, version: first });
    expect(await names(store, '')).toEqual([`a/k@${first}`]);
    expect(await read(store, 'a/k', second)).toBe('a lie, longer');
    expect(strangers).toMatchObject([{ kind: 'later-version', key: 'a/k', version: second }]);
  });

  it('reads as it was first written, though deleted by name', async () => {
    const bucket = new VersionedMemoryBucket({ kind });
    const first = bucket.put('a/k', 'truth');
    bucket.hide('a/k');
    const { store, strangers } = reading(bucket);
    expect(await read(store, 'a/k')).toBe('truth');
    expect(await store.stat('a/k', { signal })).toMatchObject({ version: first });
    expect(await names(store, '')).toEqual([`a/k@${first}`]);
    expect(strangers).toMatchObject([{ kind: kind === 's3' ? 'delete-marker' : 'hidden', key: 'a/k' }]);
  });

  it('reads as it was first written, though deleted by name and written anew', async () => {
    const bucket = new VersionedMemoryBucket({ kind });
    const first = bucket.put('a/k', 'truth');
    bucket.hide('a/k');
    const second = bucket.put('a/k', 'a lie');
    const { store } = reading(bucket);
    expect(await read(store, 'a/k')).toBe('truth');
    const candidates = await store.candidates?.('a/k', { signal });
    expect(candidates?.map(({ version }) => version)).toEqual([first, second]);
    expect(candidates?.[0]).not.toHaveProperty('current');
  });

  it('is absent when nothing was ever stored under it, whatever lies beside it', async () => {
    const bucket = new VersionedMemoryBucket({ kind });
    for (const key of ['a/k.zst', 'a/j', 'a/k/x', 'a/k-']) bucket.put(key, 'x');
    bucket.hide('a/k');
    const { store } = reading(bucket);
    expect(await read(store, 'a/k')).toBeUndefined();
    expect(await store.stat('a/k', { signal })).toBeUndefined();
    expect(await store.candidates?.('a/k', { signal })).toEqual([]);
  });

  it('is not sought among names that somebody squeezes before it', async () => {
    const bucket = new VersionedMemoryBucket({ kind });
    for (let at = 0; at < 1500; at += 1) bucket.put(`a/kex${String(at).padStart(4, '0')}`, 'squatter');
    bucket.put('a/key', 'truth');
    bucket.put('a/key', 'a lie');
    expect(await read(reading(bucket).store, 'a/key')).toBe('truth');
  });
});

describe('the requests of a reading', () => {
  it('are the current version and one listing at the same time, and one for each name that follows', async () => {
    const bucket = new VersionedMemoryBucket();
    const keys = logOf(bucket, 256);
    const { store } = reading(bucket);
    let together = 0;
    let most = 0;
    bucket.before = async () => {
      most = Math.max(most, (together += 1));
      await new Promise((resolve) => setImmediate(resolve));
      together -= 1;
    };
    expect(await read(store, keys[0] as string)).toBe(keys[0]);
    expect(bucket.requests.toSorted()).toEqual([`open ${keys[0]}`, 'versions wal/1/0/']);
    expect(most).toBe(2);
    bucket.requests.length = 0;
    for (const key of keys.slice(1)) expect(await read(store, key)).toBe(key);
    expect(bucket.requests).toEqual(keys.slice(1).map((key) => `open ${key}`));
  });

  it('stay one for each name where every one is covered, once that is known', async () => {
    const bucket = new VersionedMemoryBucket();
    const keys = logOf(bucket, 256);
    for (const key of keys) bucket.put(key, 'a lie');
    const { store, strangers } = reading(bucket);
    for (const key of keys) expect(await read(store, key)).toBe(key);
    expect(bucket.requests.filter((one) => one.startsWith('versions'))).toHaveLength(1);
    expect(bucket.requests).toHaveLength(2 + 256);
    expect(strangers).toHaveLength(256);
  });

  it('of a range are of that range in every version', async () => {
    const bucket = new VersionedMemoryBucket();
    bucket.put('k', '0123456789');
    bucket.put('k', 'abc');
    const opened = await reading(bucket).store.open('k', { signal, range: { offset: -3 } });
    expect((await bytesOf(opened?.chunks)).toString()).toBe('789');
  });

  it('of a listing are as many as those of a plain one', async () => {
    const bucket = new VersionedMemoryBucket();
    logOf(bucket, 2500);
    await collected(reading(bucket).store.list('wal/', { signal }));
    expect(bucket.requests).toEqual(['versions wal/', 'versions wal/', 'versions wal/']);
    bucket.requests.length = 0;
    await collected(reading(bucket).store.list('wal/', { signal, delimited: true }));
    expect(bucket.requests).toEqual(['versions wal/']);
    bucket.requests.length = 0;
    expect(await collected(reading(bucket).store.list('wal/', { signal, limit: 10 }))).toHaveLength(10);
    expect(bucket.requests).toEqual(['versions wal/']);
  });

  it('break off a body that nobody will read', async () => {
    const bucket = new VersionedMemoryBucket();
    bucket.put('k', 'truth');
    bucket.put('k', Buffer.alloc(10_000_000));
    const { versions, ...plain } = bucket.store;
    const signals: AbortSignal[] = [];
    const open: Store['open'] = (key, options) => {
      if (options.version === undefined) signals.push(options.signal);
      return plain.open(key, options);
    };
    const store = withVersions({ ...plain, open, versions: versions as NonNullable<typeof versions> });
    expect(await read(store, 'k')).toBe('truth');
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
  });
});

describe('what changes while the reader lives', () => {
  it('is seen where a name that was absent is created', async () => {
    const bucket = new VersionedMemoryBucket();
    bucket.put('a/j', 'x');
    const { store } = reading(bucket);
    expect(await read(store, 'a/k')).toBeUndefined();
    bucket.put('a/k', 'new');
    expect(await read(store, 'a/k')).toBe('new');
    expect(await read(store, 'a/l')).toBeUndefined();
    bucket.put('a/l', 'new');
    expect(await read(store, 'a/l')).toBe('new');
  });

  it('is seen, and told, where a name that is remembered is covered', async () => {
    const bucket = new VersionedMemoryBucket();
    bucket.put('a/j', 'truth of j');
    bucket.put('a/k', 'truth of k');
    const { store, strangers } = reading(bucket);
    expect(await read(store, 'a/j')).toBe('truth of j');
    bucket.put('a/j', 'a lie');
    bucket.hide('a/k');
    expect(await read(store, 'a/j')).toBe('truth of j');
    expect(await read(store, 'a/k')).toBe('truth of k');
    expect(strangers.map(({ kind, key }) => `${kind} ${key}`)).toEqual(['later-version a/j', 'delete-marker a/k']);
  });

  it('is seen where the version that is remembered was removed', async () => {
    const bucket = new VersionedMemoryBucket();
    const first = bucket.put('a/k', 'first');
    const second = bucket.put('a/k', 'second');
    const { store } = reading(bucket);
    expect(await read(store, 'a/k')).toBe('first');
    bucket.expunge('a/k', first);
    expect(await read(store, 'a/k')).toBe('second');
    bucket.expunge('a/k', second);
    expect(await read(store, 'a/k')).toBeUndefined();
    expect(await store.stat('a/k', { signal })).toBeUndefined();
  });

  it('is believed of the store where the listing was a moment too early', async () => {
    const bucket = new VersionedMemoryBucket();
    bucket.before = (request) => {
      if (request.startsWith('open')) bucket.put('k', 'just created');
    };
    bucket.put('j', 'x');
    const { versions, ...plain } = bucket.store;
    // The listing is answered before the object is created, the reading after.
    let listed = (): void => undefined;
    const afterListing = new Promise<void>((resolve) => (listed = resolve));
    const store = withVersions({
      ...plain,
      open: async (key, options) => {
        await afterListing;
        return plain.open(key, options);
      },
      versions: {
        async *list(prefix, options) {
          yield* versions?.list(prefix, options) ?? [];
          listed();
        },
      },
    });
    expect(await read(store, 'k')).toBe('just created');
  });

  it('is an error where the store goes on naming a version that it does not have', async () => {
    const bucket = new VersionedMemoryBucket();
    bucket.put('k', 'truth');
    bucket.put('k', 'a lie');
    const { versions, ...plain } = bucket.store;
    const store = withVersions({
      ...plain,
      open: (key, options) => (options.version === undefined ? plain.open(key, options) : Promise.resolve(undefined)),
      versions: versions as NonNullable<typeof versions>,
    });
    await expect(store.open('k', { signal })).rejects.toMatchObject({ code: 'unreachable' });
  });
});

describe('a current version that is refused', () => {
  it.each(['denied', 'store-rejected'] as const)('(%s) does not stand before an older one', async (code) => {
    const bucket = new VersionedMemoryBucket();
    bucket.put('k', 'truth');
    bucket.put('k', 'under a key that nobody has');
    bucket.fault = (request) => (request === 'open k' ? new WalholdError(code, 'no') : undefined);
    expect(await read(reading(bucket).store, 'k')).toBe('truth');
  });

  it('is refused where the oldest is too: never absent, never the later one', async () => {
    const bucket = new VersionedMemoryBucket();
    bucket.put('k', 'truth');
    bucket.put('k', 'a lie');
    bucket.fault = (request) => (request.includes('@') ? DENIED : undefined);
    const { store, blind } = reading(bucket);
    await expect(store.open('k', { signal })).rejects.toBe(DENIED);
    await expect(store.stat('k', { signal })).rejects.toBe(DENIED);
    expect(blind).toEqual([]);
  });

  it('is refused where nothing older exists', async () => {
    const bucket = new VersionedMemoryBucket();
    bucket.put('j', 'x');
    bucket.fault = (request) => (request.startsWith('open') ? DENIED : undefined);
    await expect(read(reading(bucket).store, 'k')).rejects.toBe(DENIED);
    await expect(read(reading(bucket).store, 'j')).rejects.toBe(DENIED);
  });
});

describe('a store that does not answer', () => {
  const down = new WalholdError('unreachable', 'down');

  it('is down to a reading when its listing does not come, even with the bytes at hand', async () => {
    const bucket = new VersionedMemoryBucket();
    bucket.put('k', 'truth');
    bucket.fault = (request) => (request.startsWith('versions') ? down : undefined);
    const { store, blind } = reading(bucket);
    await expect(store.open('k', { signal })).rejects.toBe(down);
    await expect(names(store, '')).rejects.toBe(down);
    expect(blind).toEqual([]);
  });

  it('is down to a reading when the current version is the oldest, and does not come', async () => {
    const bucket = new VersionedMemoryBucket();
    bucket.put('k', 'truth');
    bucket.fault = (request) => (request === 'open k' ? down : undefined);
    await expect(reading(bucket).store.open('k', { signal })).rejects.toBe(down);
  });
});

describe('a server that takes a listing of versions for another question', () => {
  it('is read as it is once its first object shows that: nothing passes for absent', async () => {
    const bucket = new VersionedMemoryBucket();
    bucket.put('walhold.json', 'identity');
    bucket.put('a/k', 'truth');
    const { versions: _, ...rest } = bucket.store;
    const blind: unknown[] = [];
    const versions = { list: () => ({ [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve({ done: true as const, value: undefined }) }) }) }; // prettier-ignore
    const store = withVersions({ ...rest, versions }, { onBlind: (error) => void blind.push(error) });
    expect(await read(store, 'walhold.json')).toBe('identity');
    expect(blind).toMatchObject([{ code: 'unsupported' }]);
    expect((await collected(store.list('', { signal }))).length).toBe(2);
  });
});

describe('credentials that may not list versions', () => {
  const blindBucket = (error: Error): VersionedMemoryBucket => {
    const bucket = new VersionedMemoryBucket();
    bucket.put('a/k', 'truth');
    bucket.put('a/k', 'a lie');
    bucket.fault = (request) => (request.startsWith('versions') ? error : undefined);
    return bucket;
  };

  it.each(['denied', 'unsupported'] as const)('(%s) read what is current, and say so once', async (code) => {
    const error = new WalholdError(code, 'could not list the versions');
    const { store, blind } = reading(blindBucket(error));
    expect(await read(store, 'a/k')).toBe('a lie');
    expect(await names(store, '', { delimited: true })).toEqual(['a/']);
    expect(await store.stat('a/k', { signal })).toMatchObject({ bytes: 5 });
    expect(await store.candidates?.('a/k', { signal })).toMatchObject([{ key: 'a/k', bytes: 5 }]);
    expect(await store.candidates?.('a/none', { signal })).toEqual([]);
    expect(await read(store, 'a/none')).toBeUndefined();
    expect(blind).toEqual([error]);
  });

  it('ask for versions no more', async () => {
    const bucket = blindBucket(DENIED);
    const { store } = reading(bucket);
    await names(store, '');
    bucket.requests.length = 0;
    await read(store, 'a/k');
    await names(store, '');
    expect(bucket.requests).toEqual(['open a/k', 'list ']);
  });

  it('cannot read an earlier moment', async () => {
    const { store, blind } = reading(blindBucket(DENIED), { asOf: new Date() });
    const refused = {
      code: 'denied',
      message: expect.stringContaining('as of') as string,
      hint: expect.stringContaining('s3:ListBucketVersions') as string,
    };
    await expect(store.open('a/k', { signal })).rejects.toMatchObject(refused);
    await expect(store.stat('a/k', { signal })).rejects.toMatchObject(refused);
    await expect(names(store, '')).rejects.toMatchObject(refused);
    await expect(store.candidates?.('a/k', { signal })).rejects.toMatchObject(refused);
    expect(blind).toEqual([]);
  });

  it('are not called blind when they may read nothing at all', async () => {
    const bucket = blindBucket(DENIED);
    bucket.fault = () => DENIED;
    const { store, blind } = reading(bucket);
    await expect(store.open('a/k', { signal })).rejects.toBe(DENIED);
    bucket.fault = () => undefined;
    expect(await read(store, 'a/k')).toBe('truth');
    expect(blind).toEqual([]);
  });
});

describe.each(KINDS)('a moment of the past on %s', (kind) => {
  it('shows what was there then, and none of what came later', async () => {
    const bucket = new VersionedMemoryBucket({ kind });
    const first = bucket.put('wal/1/a', 'truth');
    const asOf = new Date(bucket.now);
    bucket.now += 1000;
    bucket.put('wal/1/a', 'a lie');
    bucket.put('wal/1/b', 'later');
    bucket.put('wal/2/a', 'later');
    bucket.hide('wal/1/a');
    const { store, strangers } = reading(bucket, { asOf });
    expect(await read(store, 'wal/1/a')).toBe('truth');
    expect(await read(store, 'wal/1/b')).toBeUndefined();
    expect(await store.stat('wal/2/a', { signal })).toBeUndefined();
    expect(await names(store, '')).toEqual([`wal/1/a@${first}`]);
    expect(await names(store, 'wal/', { delimited: true })).toEqual(['wal/1/']);
    expect(await names(store, 'wal/', { delimited: true, after: 'wal/1' })).toEqual(['wal/1/']);
    expect(await names(store, 'wal/', { delimited: true, after: 'wal/1/' })).toEqual([]);
    expect(await store.candidates?.('wal/1/a', { signal })).toMatchObject([{ version: first }]);
    expect(await store.candidates?.('wal/1/b', { signal })).toEqual([]);
    expect(strangers).toEqual([]);
  });

  it.each(['denied', 'unreachable'] as const)('does not wait for a later name that is %s', async (code) => {
    const bucket = new VersionedMemoryBucket({ kind });
    const asOf = new Date(bucket.now);
    bucket.now += 1000;
    bucket.put('k', 'squatted');
    bucket.fault = (request) => (request.startsWith('open') ? new WalholdError(code, 'no') : undefined);
    expect(await read(reading(bucket, { asOf }).store, 'k')).toBeUndefined();
  });
});

it('finds what is beyond in a limited listing, though much that is later or hidden lies before it', async () => {
  const bucket = new VersionedMemoryBucket();
  for (let at = 1000; at < 1100; at += 1) bucket.hide(`a/${at}`);
  const last = bucket.put('a/2000', 'x');
  const { store } = reading(bucket);
  expect(await names(store, 'a/', { limit: 1 })).toEqual([`a/2000@${last}`]);
  expect(bucket.requests).toEqual(['versions a/', 'versions a/']);
});

it('folds a moment in few requests, passing over what is told already', async () => {
  const bucket = new VersionedMemoryBucket();
  for (const timeline of [1, 2, 3]) {
    for (let at = 10_000; at < 15_000; at += 1) bucket.put(`wal/${timeline}/${at}`, '');
  }
  const { store } = reading(bucket, { asOf: new Date(bucket.now) });
  expect(await names(store, 'wal/', { delimited: true })).toEqual(['wal/1/', 'wal/2/', 'wal/3/']);
  expect(bucket.requests.length).toBeLessThanOrEqual(7);
});

it('tells of each stranger once, and of no more than a bounded number', async () => {
  const bucket = new VersionedMemoryBucket();
  for (let at = 0; at < 12_000; at += 1) bucket.hide(`a/${String(at).padStart(5, '0')}`);
  const { store, strangers } = reading(bucket);
  await names(store, '');
  await names(store, '');
  expect(strangers).toHaveLength(10_000);
});

it('passes on locks, probe and versions', () => {
  const { versions, ...rest } = new VersionedMemoryBucket().store;
  const parts = { locks: {} as NonNullable<Store['locks']>, probe: {}, clockSkewMs: () => 5 };
  const plain = { ...rest, ...parts, versions: versions as NonNullable<typeof versions> };
  const { locks, probe, clockSkewMs, versions: passed } = withVersions(plain);
  expect({ locks, probe, clockSkewMs, versions: passed }).toEqual({ ...parts, versions });
});
