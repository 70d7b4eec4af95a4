/**
 * That an object is locked as it was asked to be, by what the store says of it. A store's "yes" to a request with a lock proves
 * nothing: some take the lock's headers and drop them, on every object or only on those sent in parts.
 *
 * So of each way of writing the first object is looked at. Was its lock there, later ones are believed (`kept`). Was it not, it is set
 * now, and so it is with every later one (`dropped`). A lock that only the bucket's default gives is looked at each time. Where no
 * lock can be had, or none can be seen, the answer is `unlocked`, and nobody may acknowledge the object.
 */
import { hasCode, WalholdError } from '../base/errors.ts';
import { systemClock, type Clock } from '../base/clock.ts';
import type { CallOptions, LockMemory, LockRequest, Retention, RetentionMode, Store, StoreLocks } from './store.ts';

/** How much shorter than asked a lock may be: clocks differ, and a request takes its time. */
export const LOCK_TOLERANCE_MS: number = 5 * 60_000;

/** What the proof asks of a store. */
export type LockingStore = Pick<Store, 'url' | 'stat' | 'locks' | 'clockSkewMs'>;

/** An object that this create has just made. */
export interface CreatedObject {
  /** Absent where the store names none. */
  version: string | undefined;
  way: 'single' | 'stream';
  /** The end of the lock that was sent along; `undefined`: none was. */
  asked: Date | undefined;
  /** The store's time when it took the lock: with the object, or at the beginning of a stream. */
  begunAt: Date;
}

/** Resolves when what was just created is locked. Throws `unlocked`. */
export async function proveCreated(
  store: LockingStore,
  key: string,
  lock: LockRequest,
  created: CreatedObject,
  options: CallOptions & { memory: LockMemory },
): Promise<void> {
  const { version, way, asked, begunAt } = created;
  const { signal, memory } = options;
  const least = begunAt.getTime() + lock.periodMs - LOCK_TOLERANCE_MS;
  if (lock.mode === 'bucket') {
    await ensure(store, key, lock, { signal, version, least });
    return;
  }
  // By a clock that was wrong when the store was first asked, the lock ends too early.
  const askedEnough = asked !== undefined && asked.getTime() >= least;
  const known = memory.recall(way);
  if (known === 'kept' && askedEnough) return;
  const found = await ensure(store, key, lock, { signal, version, least, blindly: known === 'dropped' });
  if (known === undefined && askedEnough) memory.remember(way, found === 'locked' ? 'kept' : 'dropped');
}

/**
 * Resolves when an object that existed already is locked for as long as it would be, had it been created with this lock. One that is
 * not gets the lock from now on. Throws `unlocked`.
 */
export async function ensureLocked(
  store: LockingStore,
  key: string,
  lock: LockRequest,
  options: CallOptions & { version?: string | undefined },
): Promise<void> {
  await ensure(store, key, lock, { signal: options.signal, version: options.version });
}

interface EnsureOptions extends CallOptions {
  version: string | undefined;
  /** What the lock must reach; from the time of storing, unless given. */
  least?: number;
  /** Sets the lock without looking first. */
  blindly?: boolean;
}

async function ensure(
  store: LockingStore,
  key: string,
  lock: LockRequest,
  options: EnsureOptions,
): Promise<'locked' | 'mended'> {
  const what = `could not be sure of the lock of ${store.url}/${key}`;
  const { signal, version, blindly = false } = options;
  try {
    const seen = blindly ? { version, retention: undefined, storedAt: undefined } : await look(store, key, options);
    const least = options.least ?? (seen.storedAt ?? storeNow(store)).getTime() + lock.periodMs - LOCK_TOLERANCE_MS;
    if (isEnough(seen.retention, lock.mode, least)) return 'locked';
    if (lock.mode === 'bucket') throw await notByItself(store, what, seen.retention, lock, options);
    const until = lockEnd(storeNow(store), lock.periodMs);
    await locksOf(store).retain(key, { mode: lock.mode, until }, { signal, ...named(seen.version) });
    return 'mended';
  } catch (error) {
    throw asUnlocked(what, error);
  }
}

/** When a lock of this period ends: in whole seconds, as not every store keeps parts of them. */
export function lockEnd(from: Date, periodMs: number): Date {
  return new Date(Math.ceil((from.getTime() + periodMs) / 1000) * 1000);
}

/** The time by the store's clock, as far as it is known. */
export function storeNow({ clockSkewMs }: Pick<Store, 'clockSkewMs'>, clock: Clock = systemClock): Date {
  return new Date(clock.now() + (clockSkewMs?.() ?? 0));
}

/** A process's own: each of its repositories needs one. */
export function lockMemory(): LockMemory {
  const seen = new Map<string, 'kept' | 'dropped'>();
  return { recall: (way) => seen.get(way), remember: (way, what) => void seen.set(way, what) };
}

/** Files know nothing stricter than read-only; whether it is enough was for who chose them to say. */
export function isAsStrict(found: RetentionMode, asked: LockRequest['mode']): boolean {
  return asked !== 'compliance' || (found !== 'governance' && found !== 'policy');
}

interface Seen {
  version: string | undefined;
  retention: Retention | undefined;
  /** `undefined`: it may not be known. */
  storedAt: Date | undefined;
}

async function look(store: LockingStore, key: string, { signal, version }: EnsureOptions): Promise<Seen> {
  const info = await store.stat(key, { signal, ...named(version) }).catch((error: unknown) => {
    // To see an object and to see its lock are two rights.
    if (hasCode(error, 'denied')) return 'denied' as const;
    throw error;
  });
  if (info === undefined) throw gone(store, key);
  const stat = info === 'denied' ? { storedAt: undefined, protection: undefined, version } : info;
  const which = named(version ?? stat.version);
  const protection = stat.protection ?? (await locksOf(store).look(key, { signal, ...which, retentionOnly: true }));
  if (protection === undefined) throw gone(store, key);
  return { version: version ?? stat.version, retention: protection.retention, storedAt: stat.storedAt };
}

/** Whether this lock, as a store showed it, is what was asked for. */
export function isEnough(found: Retention | undefined, asked: LockRequest['mode'], least: number): boolean {
  return found !== undefined && found.until.getTime() >= least && isAsStrict(found.mode, asked);
}

/** Of a lock that only the bucket could have given. */
async function notByItself(
  store: LockingStore,
  what: string,
  found: Retention | undefined,
  lock: LockRequest,
  options: CallOptions,
): Promise<WalholdError> {
  const seen =
    found === undefined
      ? 'it is not locked'
      : `it is locked in ${found.mode} mode until ${found.until.toISOString()} only`;
  const advice = await store.locks?.mend?.(lock, options);
  return new WalholdError('unlocked', what, {
    detail: advice === undefined ? seen : `${seen}; ${advice.detail}`,
    hint: advice?.hint ?? 'Give the bucket a default retention as long as lock_period, or set another lock_mode.',
  });
}

/** Refusals of any kind leave the object without the lock as far as anybody knows. No answer at all is worth another try. */
function asUnlocked(what: string, error: unknown): unknown {
  if (!hasCode(error, 'denied', 'store-rejected', 'unsupported', 'not-found', 'damaged')) return error;
  const { message, detail, hint } = error;
  return new WalholdError('unlocked', what, {
    detail: detail === undefined ? message : `${message}: ${detail}`,
    cause: error,
    ...(hint === undefined ? {} : { hint }),
  });
}

function gone(store: LockingStore, key: string): WalholdError {
  return new WalholdError('not-found', `could not look at ${store.url}/${key}`, { detail: 'it is not there any more' });
}

function locksOf(store: LockingStore): StoreLocks {
  if (store.locks !== undefined) return store.locks;
  throw new WalholdError('unsupported', `objects in ${store.url} cannot be locked`, { hint: 'Set lock_mode = none.' });
}

function named(version: string | undefined): { version?: string } {
  return version === undefined ? {} : { version };
}
