import type { ListEntry, Store } from '../../src/store/store.ts';

/** What the same calls would cost on S3. */
export interface Requests {
  /** Pages of listings. */
  lists: number;
  /** Of the lock of one object. */
  looks: number;
  /** Of one object, or of what is known of it. */
  reads: number;
}

const PAGE = 1000;

/** A store of files: the same names, in listings that say nothing of locks, counted. */
export function asOnS3(store: Store, requests: Requests): Store {
  const { locks } = store;
  if (locks === undefined) throw new Error('files have locks');
  return {
    ...store,
    async stat(key, options) {
      requests.reads += 1;
      return await store.stat(key, options);
    },
    async open(key, options) {
      requests.reads += 1;
      return await store.open(key, options);
    },
    async *list(prefix, options): AsyncGenerator<ListEntry> {
      requests.lists += 1;
      let entries = 0;
      for await (const entry of store.list(prefix, options)) {
        entries += 1;
        if (entries > 1 && entries % PAGE === 1) requests.lists += 1;
        if (entry.kind === 'directory') yield entry;
        else {
          const { protection: _, ...rest } = entry;
          yield rest;
        }
      }
    },
    locks: {
      ...locks,
      async look(key, options) {
        requests.looks += 1;
        return (await store.stat(key, options))?.protection;
      },
    },
  };
}
