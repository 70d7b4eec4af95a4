/**
 * Reads an inventory by bulk listings: one delimited listing of `wal/`, then one listing for each timeline and repository, and
 * the history files, which are small and few. With `seals` logs that are said to be whole are left out of the listings.
 */
import { WalholdError } from '../base/errors.ts';
import { parseTimelineHex, type TimelineId } from '../postgres/timeline.ts';
import type { CallOptions } from '../store/store.ts';
import { parseWalKey, WAL_PREFIX } from './layout.ts';
import { listSegments } from './list-segments.ts';
import { worstOf, type Repository, type RepositoryFailure } from './repository.ts';
import { readSeal } from './seal-records.ts';
import { listBySeal, type FalseSeal, type SealUse } from './sealed-wal.ts';
import { readHistories, type DamagedHistory } from './stored-histories.ts';
import { uniteWal } from './unite-wal.ts';
import type { TimelineWal, WalInventory } from './wal-inventory.ts';

export interface InventoryOptions extends CallOptions {
  segmentBytes: number;
  /** Of the cluster; history files that say another are not believed. */
  systemId: bigint;
  /** Segments below this one, on any timeline, are not listed. */
  from?: bigint;
  /** `undefined`: everything is listed. Else what holes and ends are judged by is the same, in far fewer requests. */
  seals?: SealUse | undefined;
}

export interface ReadInventory extends WalInventory {
  /** Repositories that could not be listed: what only they hold is missing here. At least one could. */
  readonly failures: readonly RepositoryFailure[];
  /** History files that are stored, and damaged wherever they are. */
  readonly damagedHistories: readonly DamagedHistory[];
  /** Keys under `wal/` that format 1 does not put there, or that no cluster of this segment size writes; the first hundred. */
  readonly strange: readonly string[];
  /** Seals that are not as the stores say; there everything was listed. */
  readonly falseSeals: readonly (FalseSeal & { repository: Repository })[];
  /** Whether of some segments nothing but a seal says that they are there. */
  readonly isSealed: boolean;
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
  const walOf = (timeline: TimelineId): TimelineWal[] =>
    done.flatMap((listing) => listing.timelines.get(timeline) ?? []);
  return {
    segmentBytes: options.segmentBytes,
    timelines: new Map([...timelines].map((timeline) => [timeline, uniteWal(walOf(timeline))])),
    histories,
    failures,
    damagedHistories: damaged,
    strange: done.flatMap((listing) => listing.strange).slice(0, MOST_STRANGE),
    falseSeals: done.flatMap(({ repository, falseSeal }) =>
      falseSeal === undefined ? [] : [{ repository, ...falseSeal }],
    ),
    isSealed: done.some(({ isSealed }) => isSealed),
  };
}

/** What one repository lists. */
interface Listing {
  repository: Repository;
  timelines: Map<TimelineId, TimelineWal>;
  histories: TimelineId[];
  strange: string[];
  falseSeal: FalseSeal | undefined;
  isSealed: boolean;
}

async function listRepository(repository: Repository, options: InventoryOptions): Promise<Listing> {
  const listing: Listing = {
    repository,
    timelines: new Map(),
    histories: [],
    strange: [],
    falseSeal: undefined,
    isSealed: false,
  };
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
  const bySeal = await listSealed(listing, timelines, options);
  for (const timeline of timelines) {
    const range = { ...options, onStrange: (key: string) => note(listing, key) };
    const wal = bySeal?.get(timeline) ?? (await listSegments(repository, timeline, range));
    if (wal.segments.size > 0 || wal.partials.length > 0) listing.timelines.set(timeline, wal);
  }
  return listing;
}

/** `undefined`: there is no seal to go by. */
async function listSealed(
  listing: Listing,
  timelines: readonly TimelineId[],
  { seals, ...options }: InventoryOptions,
): Promise<ReadonlyMap<TimelineId, TimelineWal> | undefined> {
  if (seals === undefined || timelines.length === 0) return undefined;
  const seal = await readSeal(listing.repository, { ...options, clock: seals.clock });
  if (seal === undefined) return undefined;
  const found = await listBySeal(listing.repository, timelines, seal, { ...options, seals });
  if (!('directory' in found)) {
    listing.isSealed = true;
    return found;
  }
  listing.falseSeal = found;
  return undefined;
}

function note(listing: Listing, key: string): void {
  if (listing.strange.length < MOST_STRANGE) listing.strange.push(key);
}
