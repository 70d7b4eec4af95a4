import { shownListing, type PassedName } from './shown-listing.ts';
import type { ListEntry, ListOptions, Store } from './store.ts';
import { isLater } from './name-history.ts';

/**
 * A store that keeps one version of each name, as it was at a moment: what was stored later is not there. What was removed since is
 * not there either; nothing can bring it back.
 */
export function storeAsOf(store: Store, asOf: Date): Store {
  const stat: Store['stat'] = async (key, options) => {
    const info = await store.stat(key, options);
    return info === undefined || isLater(info, asOf) ? undefined : info;
  };
  return {
    ...store,
    stat,
    // Asked before, so that no body is opened that nobody reads.
    open: async (key, options) => ((await stat(key, options)) === undefined ? undefined : store.open(key, options)),
    list: (prefix, options) => listAsOf(store, asOf, prefix, options),
  };
}

function listAsOf(store: Store, asOf: Date, prefix: string, options: ListOptions): AsyncIterable<ListEntry> {
  const { signal } = options;
  const names = (after: string | undefined): AsyncIterable<PassedName> =>
    passedNames(store.list(prefix, after === undefined ? { signal } : { signal, after }), asOf);
  return shownListing(names, prefix, options);
}

async function* passedNames(entries: AsyncIterable<ListEntry>, asOf: Date): AsyncGenerator<PassedName> {
  for await (const entry of entries) {
    if (entry.kind === 'object') yield { key: entry.key, entry: isLater(entry, asOf) ? undefined : entry };
  }
}
