/**
 * Leaves a seal: all logs that are whole. What the newest seal says is taken over, but for a thirtieth of it each day, which is listed
 * again, as is everything that it does not name. If one log proves to be less than the seal says, all are listed.
 */
import type { Clock } from '../base/clock.ts';
import { mapParallel } from '../base/parallel.ts';
import { formatTimeline, parseTimelineHex, type TimelineId } from '../postgres/timeline.ts';
import { segmentsPerLog } from '../postgres/wal-name.ts';
import type { CallOptions } from '../store/store.ts';
import { logDirectory, WAL_PREFIX } from './layout.ts';
import { listLogs, listSegments } from './list-segments.ts';
import { isTodays } from './lock/slice.ts';
import { MOST_TIMELINES, tooManyTimelines } from './read-wal-inventory.ts';
import type { Repository } from './repository.ts';
import { readSeal, storeSeal, type UsableSeal } from './seal-records.ts';
import type { FalseSeal } from './sealed-wal.ts';
import { runWith } from './segment-runs.ts';

export interface SealOptions extends CallOptions {
  systemId: bigint;
  segmentBytes: number;
  clock: Clock;
  jobs: number;
  /** Who leaves it. */
  by: string;
}

export interface SealReport {
  /** Of the seal that this run left; `undefined`: there was too little to say. */
  key: string | undefined;
  /** Logs that it names, and those among them that no seal named before. */
  logs: number;
  added: number;
  /** Why the newest seal was not believed. */
  falseSeal: FalseSeal | undefined;
}

/** A seal of fewer new logs would hardly spare a reader anything: of 16 MB segments four logs share a page of a listing. */
const FEWEST_NEW = 16;
/** Before more logs than these are listed, it is tried whether these credentials may leave a seal at all. */
const MANY = 256;
/** Logs of one listing. */
const AT_ONCE = 32;

export async function sealWal(repository: Repository, options: SealOptions): Promise<SealReport> {
  const seal = await readSeal(repository, options);
  const found = await lookAt(repository, seal, options);
  if (!('directory' in found)) return await leave(repository, found, undefined, options);
  const all = await lookAt(repository, undefined, options);
  if ('directory' in all) throw new RangeError('without a seal nothing is claimed');
  return await leave(repository, all, found, options);
}

type Times = Map<TimelineId, Map<number, number>>;

interface Seen {
  times: Times;
  added: number;
}

interface Asked {
  timeline: TimelineId;
  log: number;
  /** The seal says that it is whole. */
  claimed: boolean;
}

async function lookAt(
  repository: Repository,
  seal: UsableSeal | undefined,
  options: SealOptions,
): Promise<Seen | FalseSeal> {
  const times: Times = new Map();
  const asked: Asked[] = [];
  const now = options.clock.now();
  for (const timeline of await listTimelines(repository, options)) {
    for (const log of await listLogs(repository, timeline, options)) {
      // What is left of it goes as soon as it may.
      if (seal?.isGivenUp(timeline, log) === true) continue;
      const storedAt = seal?.storedAt(timeline, log);
      const directory = logDirectory(formatTimeline(timeline), log);
      if (storedAt === undefined || isTodays(directory, now)) {
        asked.push({ timeline, log, claimed: storedAt !== undefined });
      } else note(times, timeline, log, storedAt);
    }
  }
  const fresh = asked.filter(({ claimed }) => !claimed).length;
  if (fresh < FEWEST_NEW) return { times, added: 0 };
  if (fresh > MANY) await storeSeal(repository, recordOf(times, repository, options), options);
  return await askFor(repository, asked, { times, seal }, options);
}

async function askFor(
  repository: Repository,
  asked: readonly Asked[],
  { times, seal }: { times: Times; seal: UsableSeal | undefined },
  options: SealOptions,
): Promise<Seen | FalseSeal> {
  const perLog = BigInt(segmentsPerLog(options.segmentBytes));
  let added = 0;
  let falseSeal: FalseSeal | undefined;
  await mapParallel(rowsOf(asked), options.jobs, async (row) => {
    const [begin] = row;
    const end = row.at(-1);
    if (begin === undefined || end === undefined) return;
    const range = { from: BigInt(begin.log) * perLog, to: (BigInt(end.log) + 1n) * perLog - 1n };
    const { segments } = await listSegments(repository, begin.timeline, { ...options, ...range });
    for (const { timeline, log, claimed } of row) {
      const first = BigInt(log) * perLog;
      const storedAt = segments.get(first)?.storedAt;
      const isWhole = (runWith(segments.runs, first)?.last ?? -1n) >= first + perLog - 1n;
      if (isWhole && storedAt !== undefined) {
        note(times, timeline, log, storedAt);
        if (!claimed) added += 1;
      } else if (claimed && seal !== undefined) {
        falseSeal ??= { key: seal.key, directory: logDirectory(formatTimeline(timeline), log) };
      }
    }
  });
  return falseSeal ?? { times, added };
}

async function leave(
  repository: Repository,
  { times, added }: Seen,
  falseSeal: FalseSeal | undefined,
  options: SealOptions,
): Promise<SealReport> {
  const logs = [...times.values()].reduce((sum, each) => sum + each.size, 0);
  const isWorth = added >= FEWEST_NEW || falseSeal !== undefined;
  const key = isWorth ? await storeSeal(repository, recordOf(times, repository, options), options) : undefined;
  return { key, logs, added, falseSeal };
}

function recordOf(
  logs: Times,
  { store }: Repository,
  { systemId, segmentBytes, clock, by }: SealOptions,
): Parameters<typeof storeSeal>[1] {
  return { systemId, at: new Date(clock.now() + (store.clockSkewMs?.() ?? 0)), by, segmentBytes, logs };
}

async function listTimelines({ store, url }: Repository, { signal }: CallOptions): Promise<TimelineId[]> {
  const timelines: TimelineId[] = [];
  for await (const entry of store.list(WAL_PREFIX, { signal, delimited: true })) {
    const timeline =
      entry.kind === 'directory' ? parseTimelineHex(entry.prefix.slice(WAL_PREFIX.length, -1)) : undefined;
    if (timeline !== undefined) timelines.push(timeline);
    if (timelines.length > MOST_TIMELINES) throw tooManyTimelines(url);
  }
  return timelines;
}

/** Adjacent logs of a timeline, to be listed in one go. */
function rowsOf(asked: readonly Asked[]): Asked[][] {
  const rows: Asked[][] = [];
  for (const one of asked) {
    const open = rows.at(-1);
    const last = open?.at(-1);
    const isNext = last?.timeline === one.timeline && last.log + 1 === one.log;
    if (open !== undefined && isNext && open.length < AT_ONCE) open.push(one);
    else rows.push([one]);
  }
  return rows;
}

function note(times: Times, timeline: TimelineId, log: number, storedAt: Date): void {
  const known = times.get(timeline) ?? new Map<number, number>();
  known.set(log, storedAt.getTime());
  times.set(timeline, known);
}
