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
  return {
    segment({ timeline, segno }) {
      const name = segmentName(timeline, segno, inventory.segmentBytes);
      const file = parseWalName(name);
      const stored = walOf(inventory, timeline).segments.get(segno);
      if (file === undefined || file.kind === 'partial' || stored === undefined) return Promise.resolve(UNKNOWN);
      return ask(walKey(file), stored.repositories);
    },
    partial: ({ key, repositories: holders }) => ask(key, holders),
  };
}

async function readFacts(
  repositories: readonly Repository[],
  key: string,
  holders: readonly number[],
  { signal, systemId }: CallOptions & { systemId: bigint },
): Promise<SegmentFacts> {
  for (const { number, store } of repositories) {
    if (!holders.includes(number)) continue;
    try {
      const head = (await readStoredHead(store, key, { signal, systemId }))?.head;
      if (head !== undefined) return factsOf(head);
    } catch (error) {
      signal.throwIfAborted();
      if (!hasCode(error, 'damaged', 'unreachable', 'denied', 'store-gone', 'store-rejected')) throw error;
    }
  }
  return UNKNOWN;
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
