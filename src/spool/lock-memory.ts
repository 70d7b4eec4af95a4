import { lstat } from 'node:fs/promises';
import { shortName } from './known-repositories.ts';
import { makeSpoolDirectory, type Spool } from './spool.ts';

/** How an object was sent, and whether the lock asked for with it was there: as `LockMemory` of the store has it. */
type Way = 'single' | 'stream';
type Seen = 'kept' | 'dropped';

const WAYS = ['single', 'stream'] as const;
/** A store's software and its bucket change: each way is looked at anew every day. */
const VALID_MS = 24 * 60 * 60 * 1000;
const WRITABLE_BY_OTHERS = 0o022;

/** What pushes saw of one repository's locks, from one call to the next. */
export interface SpooledLockMemory {
  recall(way: Way): Seen | undefined;
  remember(way: Way, seen: Seen): void;
  /** Writes down what this call has learned; nothing where it learned nothing. */
  save(): Promise<void>;
}

/**
 * A note here spares a look at the lock of each object, so it must be this very spool's: one that came with a copied data directory,
 * or that somebody else could have written, is passed over. `place`: where the repository lies (`placeText`); `lock`: what is asked of
 * it, in any words that change with the settings. `owner`: the user whose spool it must be, this process's own unless given.
 */
export async function openLockMemory(
  spool: Spool,
  { place, lock }: { place: string; lock: string },
  { now, owner = process.geteuid?.() }: { now: number; owner?: number | undefined },
): Promise<SpooledLockMemory> {
  const name = `locks-${shortName(place)}`;
  const seen = new Map<Way, { seen: Seen; at: number }>();
  const note = await spool.read(name);
  const mark = await markOf(spool, owner);
  if (mark !== undefined && note?.['place'] === place && note['lock'] === lock && note['spool'] === mark) {
    for (const way of WAYS) {
      const entry = entryOf(note[way], now);
      if (entry !== undefined) seen.set(way, entry);
    }
  }
  let learned = false;
  return {
    recall: (way) => seen.get(way)?.seen,
    remember(way, found) {
      if (seen.get(way)?.seen === found) return;
      seen.set(way, { seen: found, at: now });
      learned = true;
    },
    async save() {
      if (!learned || spool.path === undefined) return;
      await makeSpoolDirectory(spool.path).catch(() => undefined);
      const own = await markOf(spool, owner);
      if (own !== undefined) await spool.write(name, { place, lock, spool: own, ...Object.fromEntries(seen) });
    },
  };
}

function entryOf(value: unknown, now: number): { seen: Seen; at: number } | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { seen, at } = value as Record<string, unknown>;
  if ((seen !== 'kept' && seen !== 'dropped') || typeof at !== 'number') return undefined;
  return at > now || now - at >= VALID_MS ? undefined : { seen, at };
}

/** What a copy of the directory has not; `undefined`: there is none, or others may write there. */
async function markOf({ path }: Spool, owner: number | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  try {
    const found = await lstat(path);
    const own = found.isDirectory() && found.uid === owner && (found.mode & WRITABLE_BY_OTHERS) === 0;
    return own ? `${found.dev}:${found.ino}` : undefined;
  } catch {
    return undefined;
  }
}
