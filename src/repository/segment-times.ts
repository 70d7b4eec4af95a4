/** What the heads of stored segments say of their contents: one small ranged read each, and none twice. */
import { hasCode } from '../base/errors.ts';
import { parseLsn, type Lsn } from '../postgres/lsn.ts';
import { parseIso } from '../postgres/timestamp.ts';
import { parseWalName, segmentName } from '../postgres/wal-name.ts';
import type { CallOptions } from '../store/store.ts';
import { walKey } from './layout.ts';
import type { ObjectHead } from './object-head.ts';
import type { PathSegment } from './recovery-path.ts';
import type { Repository } from './repository.ts';
import { readStoredHead } from './stored-head.ts';
import { walOf, type StoredPartial, type WalInventory } from './wal-inventory.ts';

/** All optional for ever: `undefined` is "not known". Times in microseconds since 1970. */
export interface SegmentFacts {
  /** How many transactions end in it. 0 is known to be none. */
  readonly commits: number | undefined;
  /** The earliest and the latest end of a transaction in it. */
  readonly firstCommit: bigint | undefined;
  readonly lastCommit: bigint | undefined;
  /** Where its last valid record ends. */
  readonly endLsn: Lsn | undefined;
}

export interface SegmentTimes {
  /** Of a stored segment. What cannot be read or trusted is not known. */
  segment(segment: PathSegment): Promise<SegmentFacts>;
  partial(partial: StoredPartial): Promise<SegmentFacts>;
  /** When a stored segment was stored, where the inventory does not say: one small listing. `undefined`: that cannot be found out. */
  storedAt(segment: PathSegment): Promise<Date | undefined>;
}

/** Of an object that could not be read, or not be trusted. */
export const UNKNOWN: SegmentFacts = {
  commits: undefined,
  firstCommit: undefined,
  lastCommit: undefined,
  endLsn: undefined,
};

/** Heads are read from the first of the repositories that hold the object and give it. */
export function storedSegmentTimes(
  repositories: readonly Repository[],
  inventory: WalInventory,
  options: CallOptions & { systemId: bigint },
): SegmentTimes {
  const known = new Map<string, Promise<SegmentFacts>>();
  const ask = (key: string, holders: readonly number[]): Promise<SegmentFacts> => {
    const asked = known.get(key) ?? readFacts(repositories, key, holders, options);
    known.set(key, asked);
    return asked;
  };
  const placeOf = ({ timeline, segno }: PathSegment): { key: string; holders: readonly number[] } | undefined => {
    const file = parseWalName(segmentName(timeline, segno, inventory.segmentBytes));
    const stored = walOf(inventory, timeline).segments.get(segno);
    if (file === undefined || file.kind === 'partial' || stored === undefined) return undefined;
    return { key: walKey(file), holders: stored.repositories };
  };
  return {
    segment(segment) {
      const place = placeOf(segment);
      return place === undefined ? Promise.resolve(UNKNOWN) : ask(place.key, place.holders);
    },
    partial: ({ key, repositories: holders }) => ask(key, holders),
    async storedAt(segment) {
      const place = placeOf(segment);
      return (
        place && (await fromHolders(repositories, place.holders, options, ({ store }) => lookAt(store, place.key)))
      );
    },
  };

  async function lookAt(store: Repository['store'], key: string): Promise<Date | undefined> {
    for await (const entry of store.list(key, { signal: options.signal, limit: 1 })) {
      if (entry.kind === 'object' && entry.key === key) return entry.storedAt;
    }
    return undefined;
  }
}

async function readFacts(
  repositories: readonly Repository[],
  key: string,
  holders: readonly number[],
  { signal, systemId }: CallOptions & { systemId: bigint },
): Promise<SegmentFacts> {
  const head = await fromHolders(
    repositories,
    holders,
    { signal },
    async ({ store }) => (await readStoredHead(store, key, { signal, systemId }))?.head,
  );
  return head === undefined ? UNKNOWN : factsOf(head);
}

/** What the first of the holders gives; one that cannot be read, or not be trusted, is passed over. */
async function fromHolders<T>(
  repositories: readonly Repository[],
  holders: readonly number[],
  { signal }: CallOptions,
  ask: (repository: Repository) => Promise<T | undefined>,
): Promise<T | undefined> {
  for (const repository of repositories) {
    if (!holders.includes(repository.number)) continue;
    try {
      const found = await ask(repository);
      if (found !== undefined) return found;
    } catch (error) {
      signal.throwIfAborted();
      if (!hasCode(error, 'damaged', 'unreachable', 'denied', 'store-gone', 'store-rejected')) throw error;
    }
  }
  return undefined;
}

function factsOf(head: ObjectHead): SegmentFacts {
  const time = (text: string | undefined): bigint | undefined => (text === undefined ? undefined : parseIso(text));
  return {
    commits: head.commits,
    firstCommit: time(head.firstCommitAt),
    lastCommit: time(head.lastCommitAt),
    endLsn: head.endLsn === undefined ? undefined : parseLsn(head.endLsn),
  };
}
