import { nameHistories, type NameHistory, type NameVersion } from './name-history.ts';
import { type CallOptions, type ListOptions, type StoreVersions, type Stranger, type VersionEntry } from './store.ts';

export interface LookupSettings {
  asOf: Date | undefined;
  /** Told of each stranger once, of the first `MOST_TOLD` that are met. */
  onStranger: (stranger: Stranger) => void;
}

export interface VersionLookup {
  /** The names beginning with `prefix`, in order; directories as the store folds them. A `limit` makes the first request small. */
  histories(prefix: string, options: ListOptions): AsyncGenerator<NameHistory | { kind: 'directory'; prefix: string }>;
  /** One name, asked of the store. `undefined`: nothing is or was stored under it. */
  history(key: string, options: CallOptions): Promise<NameHistory | undefined>;
  /** The same by one request that also tells, and remembers, the names that follow in its directory. */
  historyAhead(key: string, options: CallOptions): Promise<NameHistory | undefined>;
  /** What an earlier `historyAhead` saw as the oldest version. It can have been removed since; a name can have been created. */
  recall(key: string): NameVersion | undefined;
  forget(key: string): void;
}

/**
 * A page of a store, less the entry that shows that the last name is whole: a log's 256 segments with their labels, and their versions
 * as far as there are a few.
 */
const PAGE = 999;
/** About 2 MB; the directories of a few readers. */
const MOST_REMEMBERED = 4096;
const MOST_TOLD = 10_000;

export function versionLookup(versions: StoreVersions, { asOf, onStranger }: LookupSettings): VersionLookup {
  const remembered = new Map<string, NameVersion>();
  const remember = (key: string, oldest: NameVersion): void => {
    remembered.delete(key);
    remembered.set(key, oldest);
    if (remembered.size > MOST_REMEMBERED) remembered.delete(remembered.keys().next().value as string);
  };

  const tell = onceEach(onStranger);
  async function* judged(entries: AsyncIterable<VersionEntry>): ReturnType<VersionLookup['histories']> {
    for await (const one of nameHistories(entries, asOf)) {
      if (one.kind === 'name') one.strangers.forEach(tell);
      yield one;
    }
  }

  return {
    async *histories(prefix, options) {
      const { limit, ...unlimited } = options;
      const first = { entries: 0, last: '' };
      yield* judged(counted(versions.list(prefix, options), first));
      // The few that were asked for may have been markers; after that whole pages are fewer requests.
      if (limit === undefined || first.entries < limit) return;
      yield* judged(versions.list(prefix, { ...unlimited, after: first.last }));
    },

    async history(key, { signal }) {
      for await (const one of judged(versions.list(key, { signal, limit: PAGE }))) {
        return one.kind === 'name' && one.key === key ? one : undefined;
      }
      return undefined;
    },

    async historyAhead(key, { signal }) {
      const directory = key.slice(0, key.lastIndexOf('/') + 1);
      const options = { signal, after: justBefore(key), delimited: true, limit: PAGE };
      let found: NameHistory | undefined;
      for await (const one of judged(versions.list(directory, options))) {
        if (one.kind === 'directory') continue;
        const [oldest] = one.versions;
        if (oldest !== undefined) remember(one.key, oldest);
        if (one.key === key) found = one;
      }
      return found;
    },

    recall: (key) => remembered.get(key),
    forget: (key) => void remembered.delete(key),
  };
}

function onceEach(onStranger: (stranger: Stranger) => void): (stranger: Stranger) => void {
  const told = new Set<string>();
  return (stranger) => {
    const name = `${stranger.kind} ${stranger.version} ${stranger.key}`;
    if (told.has(name) || told.size >= MOST_TOLD) return;
    told.add(name);
    onStranger(stranger);
  };
}

async function* counted(
  entries: AsyncIterable<VersionEntry>,
  seen: { entries: number; last: string },
): AsyncGenerator<VersionEntry> {
  for await (const entry of entries) {
    seen.entries += 1;
    seen.last = entry.kind === 'directory' ? entry.prefix : entry.key;
    yield entry;
  }
}

/** What no other key stands between and `key`, whoever makes names up: `~` sorts behind all that a key can hold. */
function justBefore(key: string): string {
  return `${key.slice(0, -1)}${String.fromCharCode(key.charCodeAt(key.length - 1) - 1)}~`;
}
