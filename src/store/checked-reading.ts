import { requireKeyPrefix, requireObjectKey } from './object-key.ts';
import type { Store, StoreVersions } from './store.ts';

/** What a bucket's store does for readers. */
type Reading = Pick<Store, 'stat' | 'open' | 'list'> & { versions: StoreVersions };

/** The same, with every key and prefix looked at before any request is made of it: a bad one throws (object-key.ts). */
export function checkedReading({ stat, open, list, versions }: Reading): Reading {
  return {
    async stat(key, options) {
      requireObjectKey(key);
      return stat(key, options);
    },

    async open(key, options) {
      requireObjectKey(key);
      return open(key, options);
    },

    list(prefix, options) {
      requireKeyPrefix(prefix);
      return list(prefix, options);
    },

    versions: {
      list(prefix, options) {
        requireKeyPrefix(prefix);
        return versions.list(prefix, options);
      },
    },
  };
}
