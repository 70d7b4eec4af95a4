/**
 * The truth of a name. Nothing here writes a name twice, so the oldest version is ours, unless somebody took the name before we came:
 * then the oldest authentic one is. Authentic means that it parses, that its digests are right, and that it fits its name and the
 * repository's identity: which of these a reader can check, its own `read` or `parse` says.
 *
 * The oldest version is what stores give without being told a version; the others are asked for only when it proves to be nothing.
 * So where nobody has meddled this costs no request.
 */
import { hasCode } from '../base/errors.ts';
import type { Room } from '../base/room.ts';
import { readAll } from '../store/read-all.ts';
import type { ByteRange, CallOptions, ObjectInfo, Store } from '../store/store.ts';

/** To be spread into a store's reading options; without a version: the oldest. */
export interface WhichVersion {
  version?: string;
}

export interface AuthenticSearch<T> extends CallOptions {
  /** The oldest version, where a listing has shown it: then the store need not be asked which it is. */
  oldest?: string | undefined;
  /** Whether a later version is worth reading, by what listings say of it. */
  fits?: (info: ObjectInfo) => boolean;
  /** Whether what was read is authentic, where `read` answers instead of throwing `damaged`. */
  accepts?: (value: T) => boolean;
}

/**
 * What `read` makes of the oldest version that it accepts; it is called for one version after the other until one is neither
 * `undefined` nor refused by `accepts`, nor throws `damaged` or `bad-format`. If none is authentic, the outcome is the oldest version's: its
 * value or its error. `undefined`: proven absent. Every other error ends the search: it says nothing about any version.
 */
export async function oldestAuthentic<T>(
  store: Store,
  key: string,
  search: AuthenticSearch<T>,
  read: (which: WhichVersion) => Promise<T | undefined>,
): Promise<T | undefined> {
  const { signal, fits, accepts, oldest: known } = search;
  const listed = known === undefined ? undefined : await attempt(() => read({ version: known }), accepts);
  // Removed since: whatever is there now.
  const isGone = listed === undefined || ('value' in listed && listed.value === undefined);
  const oldest = isGone ? await attempt(() => read({}), accepts) : listed;
  if (oldest.authentic || store.candidates === undefined) return outcomeOf(oldest);
  const [first, ...later] = await store.candidates(key, { signal });
  for (const info of later) {
    const { version } = info;
    if (version === undefined || fits?.(info) === false) continue;
    const next = await attempt(() => read({ version }), accepts);
    if (!next.authentic || next.value === undefined) continue;
    if (first?.version !== undefined) {
      const { version: passed, storedAt } = first;
      store.report?.({ kind: 'unauthentic', key, version: passed, storedAt, believed: version });
    }
    return next.value;
  }
  return outcomeOf(oldest);
}

export interface AuthenticReading<T> extends Omit<AuthenticSearch<T>, 'fits'> {
  /** More than this is never read: it is taken for damaged. */
  maxBytes: number;
  range?: ByteRange;
  /** For each version that is read, one after the other. */
  room?: Room | undefined;
}

/** What `parse` makes of the oldest version that it does not throw `damaged` or `bad-format` at. `undefined`: proven absent. */
export async function readAuthentic<T extends object>(
  store: Store,
  key: string,
  options: AuthenticReading<T>,
  parse: (found: { info: ObjectInfo; bytes: Buffer }) => T,
): Promise<T | undefined> {
  const { signal, maxBytes, range, room, ...search } = options;
  const reading = { signal, maxBytes, room, ...(range === undefined ? {} : { range }) };
  const fits = (info: ObjectInfo): boolean => range !== undefined || info.bytes <= maxBytes;
  return await oldestAuthentic(store, key, { ...search, signal, fits }, async (which) => {
    const found = await readAll(store, key, { ...reading, ...which });
    return found === undefined ? undefined : parse(found);
  });
}

type Attempt<T> =
  { authentic: true; value: T | undefined } | { authentic: false; value: T } | { authentic: false; error: unknown };

async function attempt<T>(
  read: () => Promise<T | undefined>,
  accepts: ((value: T) => boolean) | undefined,
): Promise<Attempt<T>> {
  try {
    const value = await read();
    if (value === undefined || accepts === undefined || accepts(value)) return { authentic: true, value };
    return { authentic: false, value };
  } catch (error) {
    if (!hasCode(error, 'damaged', 'bad-format')) throw error;
    return { authentic: false, error };
  }
}

function outcomeOf<T>(attempted: Attempt<T>): T | undefined {
  if ('error' in attempted) throw attempted.error;
  return attempted.value;
}
