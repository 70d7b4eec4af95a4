/** What `src/store/store.ts` promises of locks, as tests. Every store that can lock passes all of it. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ensureLocked, LOCK_TOLERANCE_MS } from '../../src/store/lock-proof.ts';
import type {
  Body,
  LockRequest,
  Protection,
  RemovingStore,
  RetentionMode,
  Store,
  StoreLocks,
} from '../../src/store/store.ts';
import { bytesOf, patternBytes, pieces } from '../support/bytes.ts';

export interface LockableStore {
  /** Empty, in a place of its own where locks are allowed and nothing is locked by default. */
  store: Store;
  /** With every right but to bypass; absent where deleting is not tested here. */
  remover?: RemovingStore;
  dispose(): Promise<void>;
}

export interface LockSuiteOptions {
  /** Runs before the first store is made; may start a server. */
  start?: () => Promise<void>;
  stop?: () => Promise<void>;
  /** How large a stream must be to go in several parts. */
  severalPartsBytes?: number;
  /** How a lock asked for in a mode shows; the same unless said. */
  shownAs?: (mode: 'governance' | 'compliance') => RetentionMode;
  /** Why holds cannot be set there. */
  withoutHolds?: string;
}

const { signal } = new AbortController();
const HOUR = 3_600_000;
const MODES = ['governance', 'compliance'] as const;

export function lockSuite(name: string, makeStore: () => Promise<LockableStore>, options: LockSuiteOptions = {}): void {
  describe(`${name}, with locks`, () => {
    const made: LockableStore[] = [];
    const fresh = async (): Promise<LockableStore> => {
      const one = await makeStore();
      made.push(one);
      return one;
    };
    beforeAll(async () => options.start?.());
    afterEach(async () => {
      for (const one of made.splice(0)) await one.dispose();
    });
    afterAll(async () => options.stop?.());

    creations(fresh, options);
    looks(fresh);
    lengthening(fresh, options);
    if (options.withoutHolds === undefined) holds(fresh);
    else it.skip(`holds (${options.withoutHolds})`, () => undefined);
    ensuring(fresh, options);
    removals(fresh, options);
  });
}

type Fresh = () => Promise<LockableStore>;
const shown = (mode: 'governance' | 'compliance', options: LockSuiteOptions): RetentionMode =>
  options.shownAs?.(mode) ?? mode;

function creations(fresh: Fresh, options: LockSuiteOptions): void {
  const several = options.severalPartsBytes ?? 3_000_000;
  const bodies: [string, Buffer, (bytes: Buffer) => Body][] = [
    ['a buffer', patternBytes(1000), bufferBody],
    ['an empty buffer', Buffer.alloc(0), bufferBody],
    ['a small stream', patternBytes(1000), streamBody],
    ['an empty stream', Buffer.alloc(0), streamBody],
    ['a stream in several parts', patternBytes(several), streamBody],
  ];
  it.each(MODES.flatMap((mode) => bodies.map((body) => [mode, ...body] as const)))(
    'locks in %s mode what it creates from %s, for the period from the write',
    async (mode, _, bytes, bodyOf) => {
      const { store } = await fresh();
      const lock: LockRequest = { mode, periodMs: 2 * HOUR };
      expect(await store.create('wal/a', bodyOf(bytes), { signal, lock })).toBe('created');
      expect((await bytesOf((await store.open('wal/a', { signal }))?.chunks)).equals(bytes)).toBe(true);
      await expectLasting(store, 'wal/a', shown(mode, options), 2 * HOUR);
    },
  );

  it('leaves the lock of an object alone whose key is taken', async () => {
    const { store } = await fresh();
    await create(store, 'k', { mode: 'governance', periodMs: HOUR });
    const before = await look(store, 'k');
    const lock: LockRequest = { mode: 'compliance', periodMs: 5 * HOUR };
    expect(await store.create('k', bufferBody(patternBytes(1000, 2)), { signal, lock })).toBe('exists');
    expect(await look(store, 'k')).toEqual(before);
  });
}

function looks(fresh: Fresh): void {
  it('sees no lock where none was asked for, and undefined where nothing is', async () => {
    const { store } = await fresh();
    await create(store, 'k');
    expect(await look(store, 'k')).toEqual({ retention: undefined, hold: false });
    expect(await locksOf(store).look('none', { signal })).toBeUndefined();
  });

  it('says of the place that objects can be locked there, and not by default', async () => {
    const { store } = await fresh();
    expect(await locksOf(store).bucket({ signal })).toMatchObject({ lockable: true, defaultRetention: 'none' });
  });

  it('names the same version in stat and open, which the lock is of', async () => {
    const { store } = await fresh();
    await create(store, 'k', { mode: 'governance', periodMs: HOUR });
    const info = await store.stat('k', { signal });
    const opened = await store.open('k', { signal });
    await bytesOf(opened?.chunks);
    expect(opened?.info.version).toBe(info?.version);
    const named = info?.version === undefined ? {} : { version: info.version };
    expect(await locksOf(store).look('k', { signal, ...named })).toEqual(await look(store, 'k'));
  });
}

function lengthening(fresh: Fresh, options: LockSuiteOptions): void {
  const inHours = (hours: number): Date => new Date(Math.ceil(Date.now() / 1000) * 1000 + hours * HOUR);

  it.each(MODES)('locks in %s mode what was not locked, and lengthens it', async (mode) => {
    const { store } = await fresh();
    await create(store, 'k');
    for (const until of [inHours(1), inHours(3)]) {
      const held = await locksOf(store).retain('k', { mode, until }, { signal });
      expect(held).toEqual({ mode: shown(mode, options), until });
      expect((await look(store, 'k')).retention).toEqual(held);
    }
  });

  it.each(MODES)('never shortens what is locked in %s mode', async (mode) => {
    const { store } = await fresh();
    await create(store, 'k');
    const until = inHours(5);
    await locksOf(store).retain('k', { mode, until }, { signal });
    for (const less of [until, inHours(1)]) {
      expect(await locksOf(store).retain('k', { mode, until: less }, { signal })).toMatchObject({ until });
    }
    expect((await look(store, 'k')).retention).toEqual({ mode: shown(mode, options), until });
  });

  it('lengthens in the stricter mode when the looser is asked for', async () => {
    const { store } = await fresh();
    await create(store, 'k');
    await locksOf(store).retain('k', { mode: 'compliance', until: inHours(1) }, { signal });
    const until = inHours(4);
    const held = await locksOf(store).retain('k', { mode: 'governance', until }, { signal });
    expect(held).toEqual({ mode: shown('compliance', options), until });
  });

  it('refuses to lock what is not there', async () => {
    const { store } = await fresh();
    const locking = locksOf(store).retain('none', { mode: 'governance', until: inHours(1) }, { signal });
    await expect(locking).rejects.toMatchObject({ code: 'not-found' });
  });
}

function holds(fresh: Fresh): void {
  it('sets a hold and lifts it, beside the retention and twice as well as once', async () => {
    const { store } = await fresh();
    await create(store, 'k', { mode: 'governance', periodMs: HOUR });
    const { retention } = await look(store, 'k');
    for (const on of [true, true, false, false]) {
      await locksOf(store).hold('k', on, { signal });
      expect(await look(store, 'k')).toEqual({ retention, hold: on });
    }
  });

  it('refuses to hold what is not there', async () => {
    const { store } = await fresh();
    await expect(locksOf(store).hold('none', true, { signal })).rejects.toMatchObject({ code: 'not-found' });
  });
}

function ensuring(fresh: Fresh, options: LockSuiteOptions): void {
  it.each(MODES)('locks in %s mode an object that existed without', async (mode) => {
    const { store } = await fresh();
    await create(store, 'k');
    await ensureLocked(store, 'k', { mode, periodMs: 2 * HOUR }, { signal });
    await expectLasting(store, 'k', shown(mode, options), 2 * HOUR);
  });

  it('leaves one alone that is locked long enough', async () => {
    const { store } = await fresh();
    await create(store, 'k', { mode: 'governance', periodMs: 2 * HOUR });
    const before = await look(store, 'k');
    await ensureLocked(store, 'k', { mode: 'governance', periodMs: 2 * HOUR }, { signal });
    await ensureLocked(store, 'k', { mode: 'governance', periodMs: HOUR }, { signal });
    expect(await look(store, 'k')).toEqual(before);
  });

  it('does not take for locked what the place should lock and does not', async () => {
    const { store } = await fresh();
    await create(store, 'k');
    const ensuring = ensureLocked(store, 'k', { mode: 'bucket', periodMs: HOUR }, { signal });
    await expect(ensuring).rejects.toMatchObject({ code: 'unlocked' });
  });
}

function removals(fresh: Fresh, options: LockSuiteOptions): void {
  const versionOf = async (store: Store): Promise<string | undefined> => (await store.stat('k', { signal }))?.version;

  it.each(MODES)('refuses to remove what is locked in %s mode', async (mode) => {
    const { store, remover } = await fresh();
    if (remover === undefined) return;
    await create(store, 'k', { mode, periodMs: HOUR });
    const version = await versionOf(store);
    await expect(remover.remove('k', { signal, version })).rejects.toMatchObject({ code: 'denied' });
    expect(await versionOf(store)).toBe(version);
  });

  it('refuses to remove what is held, until it is not', async () => {
    const { store, remover } = await fresh();
    if (remover === undefined || options.withoutHolds !== undefined) return;
    await create(store, 'k');
    const version = await versionOf(store);
    await locksOf(store).hold('k', true, { signal });
    await expect(remover.remove('k', { signal, version })).rejects.toMatchObject({ code: 'denied' });
    await locksOf(store).hold('k', false, { signal });
    await remover.remove('k', { signal, version });
    expect(await store.stat('k', { signal })).toBeUndefined();
    // Gone is gone, however often it is asked for.
    await remover.remove('k', { signal, version });
  });
}

function bufferBody(bytes: Buffer): Body {
  return { kind: 'buffer', bytes };
}

function streamBody(bytes: Buffer): Body {
  return { kind: 'stream', chunks: pieces(bytes, 66_001) };
}

async function create(store: Store, key: string, lock?: LockRequest): Promise<void> {
  const options = lock === undefined ? { signal } : { signal, lock };
  expect(await store.create(key, bufferBody(patternBytes(1000)), options)).toBe('created');
}

/** That the lock lasts for about so long from the time of storing, by the store's own clock. */
async function expectLasting(store: Store, key: string, mode: RetentionMode, periodMs: number): Promise<void> {
  const info = await store.stat(key, { signal });
  const { retention } = await look(store, key);
  expect(retention?.mode).toBe(mode);
  const lasts = (retention?.until.getTime() ?? 0) - (info?.storedAt.getTime() ?? 0);
  expect(Math.abs(lasts - periodMs)).toBeLessThan(LOCK_TOLERANCE_MS);
}

function locksOf(store: Store): StoreLocks {
  if (store.locks === undefined) throw new Error('the store has no locks');
  return store.locks;
}

async function look(store: Store, key: string): Promise<Protection> {
  const protection = await locksOf(store).look(key, { signal });
  if (protection === undefined) throw new Error(`${key} is absent`);
  return protection;
}
