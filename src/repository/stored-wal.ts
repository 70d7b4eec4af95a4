import type { WalFile } from '../postgres/wal-name.ts';
import type { CallOptions, ListEntry } from '../store/store.ts';
import { parseWalKey, timelinePrefix, WAL_PREFIX } from './layout.ts';
import type { Repository } from './repository.ts';

/** One WAL file as listings show it. */
export interface StoredWal {
  key: string;
  file: WalFile;
  /** By the first repository that has it; so are the bytes, as stored. */
  storedAt: Date;
  storedBytes: number;
  /** The repositories that hold it, by number, rising. */
  repositories: readonly number[];
}

/**
 * Every WAL file of all repositories, or of one timeline (8 hex digits; history files left out then), once each, in the order of the keys.
 * Nothing is held but one entry per repository. Keys that format 1 does not put there are passed over.
 */
export async function* storedWal(
  repositories: readonly Repository[],
  { signal, timelineHex }: CallOptions & { timelineHex?: string },
): AsyncGenerator<StoredWal> {
  const prefix = timelineHex === undefined ? WAL_PREFIX : timelinePrefix(timelineHex);
  const lanes = repositories.map(({ number, store }) => ({
    number,
    entries: store.list(prefix, { signal })[Symbol.asyncIterator](),
    head: undefined as ListEntry | undefined,
  }));
  await Promise.all(lanes.map(async (lane) => (lane.head = await nextOf(lane.entries))));
  for (;;) {
    const keys = lanes.flatMap(({ head }) => (head?.kind === 'object' ? [head.key] : []));
    const key = keys.reduce<string | undefined>((low, one) => (low === undefined || one < low ? one : low), undefined);
    if (key === undefined) return;
    const holders = lanes.filter(({ head }) => head?.kind === 'object' && head.key === key);
    const [first] = holders;
    const wal = parseWalKey(key);
    if (wal !== undefined && first?.head?.kind === 'object') {
      const { storedAt, bytes } = first.head;
      const numbers = holders.map(({ number }) => number);
      yield { key, file: wal.file, storedAt, storedBytes: bytes, repositories: numbers };
    }
    await Promise.all(holders.map(async (lane) => (lane.head = await nextOf(lane.entries))));
  }
}

async function nextOf(entries: AsyncIterator<ListEntry>): Promise<ListEntry | undefined> {
  const next = await entries.next();
  return next.done === true ? undefined : next.value;
}
