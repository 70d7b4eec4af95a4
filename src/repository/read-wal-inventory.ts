/**
 * Reads an inventory by bulk listings: one delimited listing of `wal/`, then one listing for each timeline and repository, and
 * the history files, which are small and few.
 */
import { WalholdError } from '../base/errors.ts';
import { formatTimeline, parseTimelineHex, type TimelineId } from '../postgres/timeline.ts';
import { segmentName, segmentNumber } from '../postgres/wal-name.ts';
import type { CallOptions, ObjectInfo } from '../store/store.ts';
import { logPrefix, parseWalKey, timelinePrefix, WAL_PREFIX } from './layout.ts';
import { worstOf, type Repository, type RepositoryFailure } from './repository.ts';
import { readHistories, type DamagedHistory } from './stored-histories.ts';
import { StoredSegments } from './stored-segments.ts';
import type { StoredPartial, TimelineWal, WalInventory } from './wal-inventory.ts';

export interface InventoryOptions extends CallOptions {
  segmentBytes: number;
  /** Of the cluster; history files that say another are not believed. */
  systemId: bigint;
  /** Segments below this one, on any timeline, are not listed. */
  from?: bigint;
}

export interface ReadInventory extends WalInventory {
  /** Repositories that could not be listed: what only they hold is missing here. At least one could. */
  readonly failures: readonly RepositoryFailure[];
  /** History files that are stored, and damaged wherever they are. */
  readonly damagedHistories: readonly DamagedHistory[];
  /** Keys under `wal/` that format 1 does not put there, or that no cluster of this segment size writes; the first hundred. */
  readonly strange: readonly string[];
}

const MOST_STRANGE = 100;
/** More than any cluster has. */
export const MOST_TIMELINES = 10_000;

export function tooManyTimelines(url: string): WalholdError {
  const detail = `more than ${MOST_TIMELINES} timelines are stored there`;
  return new WalholdError('bad-format', `could not list the WAL in ${url}`, { detail });
}

/** Throws what the stores say only if none of them could be listed. */
export async function readWalInventory(
  repositories: readonly Repository[],
  options: InventoryOptions,
): Promise<ReadInventory> {
  const listings = await Promise.allSettled(repositories.map((repository) => listRepository(repository, options)));
  const done: Listing[] = [];
  const failures: RepositoryFailure[] = [];
  for (const [index, listing] of listings.entries()) {
    if (listing.status === 'fulfilled') done.push(listing.value);
    else failures.push({ repository: repositories[index] as Repository, error: listing.reason });
  }
  options.signal.throwIfAborted();
  if (done.length === 0) throw worstOf(failures);
  const holders = new Map<TimelineId, Repository[]>();
  for (const { repository, histories } of done) {
    for (const timeline of histories) holders.set(timeline, [...(holders.get(timeline) ?? []), repository]);
  }
  const { histories, damaged } = await readHistories(holders, options);
  const timelines = new Set(done.flatMap((listing) => [...listing.timelines.keys()]));
  return {
    segmentBytes: options.segmentBytes,
    timelines: new Map([...timelines].map((timeline) => [timeline, unite(done, timeline)])),
    histories,
    failures,
    damagedHistories: damaged,
    strange: done.flatMap((listing) => listing.strange).slice(0, MOST_STRANGE),
  };
}

/** What one repository lists. */
interface Listing {
  repository: Repository;
  timelines: Map<TimelineId, TimelineWal>;
  histories: TimelineId[];
  strange: string[];
}

async function listRepository(repository: Repository, options: InventoryOptions): Promise<Listing> {
  const listing: Listing = { repository, timelines: new Map(), histories: [], strange: [] };
  const timelines: TimelineId[] = [];
  for await (const entry of repository.store.list(WAL_PREFIX, { signal: options.signal, delimited: true })) {
    if (entry.kind === 'directory') {
      const timeline = parseTimelineHex(entry.prefix.slice(WAL_PREFIX.length, -1));
      if (timeline === undefined) note(listing, entry.prefix);
      else timelines.push(timeline);
    } else {
      const file = parseWalKey(entry.key)?.file;
      if (file?.kind === 'history') listing.histories.push(file.timeline);
      else note(listing, entry.key);
    }
    if (timelines.length + listing.histories.length > MOST_TIMELINES) throw tooManyTimelines(repository.url);
  }
  for (const timeline of timelines) {
    const wal = await listTimeline(listing, timeline, options);
    if (wal.segments.size > 0 || wal.partials.length > 0) listing.timelines.set(timeline, wal);
  }
  return listing;
}

async function listTimeline(listing: Listing, timeline: TimelineId, options: InventoryOptions): Promise<TimelineWal> {
  const { repository } = listing;
  const segments = new StoredSegments();
  const partials: StoredPartial[] = [];
  const start = after(timeline, options);
  const prefix = timelinePrefix(formatTimeline(timeline));
  const range = start === undefined ? {} : { after: start };
  for await (const entry of repository.store.list(prefix, { signal: options.signal, ...range })) {
    if (entry.kind === 'directory') continue;
    const file = parseWalKey(entry.key)?.file;
    const segno = file === undefined || file.kind === 'history' ? undefined : segmentNumber(file, options.segmentBytes);
    if (file === undefined || segno === undefined) note(listing, entry.key);
    else if (file.kind === 'segment') segments.push({ segno, ...stored(repository, entry) });
    else if (file.kind === 'partial') partials.push({ segno, key: entry.key, ...stored(repository, entry) });
  }
  return { segments, partials };
}

/** The key right before the first that is wanted. */
function after(timeline: TimelineId, { from, segmentBytes }: InventoryOptions): string | undefined {
  if (from === undefined || from <= 0n) return undefined;
  const name = segmentName(timeline, from, segmentBytes);
  return logPrefix(name) + name;
}

function stored(repository: Repository, entry: ObjectInfo): Omit<StoredPartial, 'segno' | 'key'> {
  return { storedAt: entry.storedAt, storedBytes: entry.bytes, repositories: [repository.number] };
}

function note(listing: Listing, key: string): void {
  if (listing.strange.length < MOST_STRANGE) listing.strange.push(key);
}

/** One timeline of all repositories: sorted lists merged, the first repository's facts first. */
function unite(listings: readonly Listing[], timeline: TimelineId): TimelineWal {
  const parts = listings.flatMap((listing) => listing.timelines.get(timeline) ?? []);
  const [only] = parts;
  if (only !== undefined && parts.length === 1) return only;
  const segments = new StoredSegments();
  const cursors = parts.map((part) => ({ rest: part.segments[Symbol.iterator](), head: undefined as HeadOf }));
  for (const cursor of cursors) cursor.head = cursor.rest.next().value ?? undefined;
  for (;;) {
    const lowest = cursors.reduce<bigint | undefined>(
      (low, { head }) => (head !== undefined && (low === undefined || head.segno < low) ? head.segno : low),
      undefined,
    );
    if (lowest === undefined) break;
    const same = cursors.filter(({ head }) => head?.segno === lowest);
    const first = same[0]?.head;
    if (first !== undefined)
      segments.push({ ...first, repositories: same.flatMap(({ head }) => head?.repositories ?? []) });
    for (const cursor of same) cursor.head = cursor.rest.next().value ?? undefined;
  }
  return { segments, partials: unitePartials(parts.flatMap((part) => part.partials)) };
}

type HeadOf = ReturnType<StoredSegments['get']>;

function unitePartials(all: readonly StoredPartial[]): StoredPartial[] {
  const byKey = new Map<string, StoredPartial>();
  for (const partial of all) {
    const known = byKey.get(partial.key);
    byKey.set(
      partial.key,
      known === undefined ? partial : { ...known, repositories: [...known.repositories, ...partial.repositories] },
    );
  }
  return [...byKey.values()].sort((a, b) => (a.segno < b.segno ? -1 : a.segno > b.segno ? 1 : a.key < b.key ? -1 : 1));
}
