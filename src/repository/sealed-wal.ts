/**
 * A repository's WAL by its newest seal: the logs in the middle of a row that are said to be whole, and of which a directory is there,
 * are not listed; all others are. At each reading some of the former are drawn by lot and listed. If one is not whole, the seal counts
 * for nothing.
 */
import { mapParallel } from '../base/parallel.ts';
import { formatTimeline, type TimelineId } from '../postgres/timeline.ts';
import { segmentsPerLog } from '../postgres/wal-name.ts';
import { divideLogs, type LogSpan } from './divide-logs.ts';
import { logDirectory } from './layout.ts';
import { listLogs, listSegments, type SegmentListing } from './list-segments.ts';
import type { Repository } from './repository.ts';
import type { UsableSeal } from './seal-records.ts';
import { missingIn, type SegmentRun } from './segment-runs.ts';
import { StoredSegments } from './stored-segments.ts';
import type { StoredPartial, TimelineWal } from './wal-inventory.ts';

/** How seals are used by whoever asks for an inventory. */
export interface SealUse {
  clock: { now(): number };
  /** Evenly in [0, 1): which logs are looked at all the same. */
  random: () => number;
  /** Segments that are listed whatever a seal says; then no lots are drawn: that was done before. */
  listed?: SegmentRun | undefined;
}

/** A seal that is not as the store says, and a log that shows it. */
export interface FalseSeal {
  key: string;
  directory: string;
}

export interface SealedWalOptions extends Pick<SegmentListing, 'signal' | 'segmentBytes' | 'from' | 'onStrange'> {
  seals: SealUse;
}

/** Requests for drawn logs, at all timelines together; of 16 MB segments three logs share one. */
const MOST_DRAWN = 8;
const PAGE = 1000;
/** Of a page's names as many as may be labels and the like. */
const OTHER_NAMES = 100;
/** Listings at the same time. */
const LANES = 8;

interface Division {
  timeline: TimelineId;
  spans: LogSpan[];
}

export async function listBySeal(
  repository: Repository,
  timelines: readonly TimelineId[],
  seal: UsableSeal,
  options: SealedWalOptions,
): Promise<ReadonlyMap<TimelineId, TimelineWal> | FalseSeal> {
  const divisions: Division[] = [];
  for (const timeline of timelines) {
    const logs = seal.hasTimeline(timeline) ? await listLogs(repository, timeline, options) : [];
    divisions.push({ timeline, spans: divideLogs(logs, (log) => mayTrust(seal, timeline, log, options)) });
  }
  const lie = options.seals.listed === undefined ? await drawLots(repository, divisions, seal, options) : undefined;
  if (lie !== undefined) return lie;
  const found = new Map<TimelineId, TimelineWal>();
  for (const { timeline, spans } of divisions) {
    const pieces = await mapParallel(spans, LANES, (span, at) => {
      const to = at === spans.length - 1 ? undefined : segmentsOf(span, options).last;
      return span.sealed
        ? Promise.resolve(takenFrom(seal, repository.number, timeline, span, options))
        : listSegments(repository, timeline, { ...options, from: fromOf(at === 0 ? undefined : span, options), to });
    });
    const whole = spans.length === 0 ? await listSegments(repository, timeline, options) : united(pieces);
    found.set(timeline, whole);
  }
  return found;
}

function mayTrust(
  seal: UsableSeal,
  timeline: TimelineId,
  log: number,
  { segmentBytes, from, seals: { listed } }: SealedWalOptions,
): boolean {
  const { first, last } = segmentsOf({ first: log, last: log }, { segmentBytes });
  if (from !== undefined && first < from) return false;
  if (listed !== undefined && first <= listed.last && listed.first <= last) return false;
  return seal.storedAt(timeline, log) !== undefined;
}

/** Looks at some of what is not listed. `undefined`: all of that is as the seal says. */
async function drawLots(
  repository: Repository,
  divisions: readonly Division[],
  seal: UsableSeal,
  options: SealedWalOptions,
): Promise<FalseSeal | undefined> {
  const perLog = segmentsPerLog(options.segmentBytes);
  const atOnce = Math.max(1, Math.floor((PAGE - OTHER_NAMES) / perLog));
  const most = Math.max(1, Math.floor(MOST_DRAWN / Math.ceil((perLog + OTHER_NAMES) / PAGE)));
  const rows = divisions.flatMap(({ timeline, spans }) =>
    spans.filter(({ sealed }) => sealed).flatMap((span) => cut(span, atOnce).map((row) => ({ timeline, ...row }))),
  );
  const drawn = draw(rows, most, options.seals.random);
  const lies = await mapParallel(drawn, LANES, async ({ timeline, ...row }): Promise<FalseSeal | undefined> => {
    const { first, last } = segmentsOf(row, options);
    const { segments } = await listSegments(repository, timeline, { ...options, from: first, to: last });
    const [missing] = missingIn(segments.runs, first, last);
    if (missing === undefined) return undefined;
    return { key: seal.key, directory: logDirectory(formatTimeline(timeline), Number(missing.first / BigInt(perLog))) };
  });
  return lies.find((lie) => lie !== undefined);
}

function cut({ first, last }: LogSpan, atOnce: number): { first: number; last: number }[] {
  const rows: { first: number; last: number }[] = [];
  for (let log = first; log <= last; log += atOnce) rows.push({ first: log, last: Math.min(last, log + atOnce - 1) });
  return rows;
}

/** So many of them at most, each once. */
function draw<T>(all: readonly T[], most: number, random: () => number): T[] {
  const left = [...all];
  const drawn: T[] = [];
  while (drawn.length < most && left.length > 0) drawn.push(...left.splice(Math.floor(random() * left.length), 1));
  return drawn;
}

function takenFrom(
  seal: UsableSeal,
  repository: number,
  timeline: TimelineId,
  { first, last }: LogSpan,
  { segmentBytes }: Pick<SegmentListing, 'segmentBytes'>,
): TimelineWal {
  const segments = new StoredSegments();
  const count = segmentsPerLog(segmentBytes);
  for (let log = first; log <= last; log += 1) {
    const segno = BigInt(log) * BigInt(count);
    const storedAt = seal.storedAt(timeline, log);
    segments.pushSpan({ segno, count, storedAt, storedBytes: 0, repositories: [repository] });
  }
  return { segments, partials: [] };
}

function united(pieces: readonly TimelineWal[]): TimelineWal {
  const segments = new StoredSegments();
  const partials: StoredPartial[] = [];
  for (const piece of pieces) {
    for (const span of piece.segments.spans()) segments.pushSpan(span);
    partials.push(...piece.partials);
  }
  return { segments, partials };
}

function segmentsOf(
  { first, last }: Pick<LogSpan, 'first' | 'last'>,
  { segmentBytes }: Pick<SegmentListing, 'segmentBytes'>,
): SegmentRun {
  const perLog = BigInt(segmentsPerLog(segmentBytes));
  return { first: BigInt(first) * perLog, last: (BigInt(last) + 1n) * perLog - 1n };
}

/** Where a listing begins: at the first log of the span, but not before what is asked for. */
function fromOf(span: LogSpan | undefined, options: SealedWalOptions): bigint | undefined {
  const first = span === undefined ? undefined : segmentsOf(span, options).first;
  if (first === undefined || options.from === undefined) return first ?? options.from;
  return first > options.from ? first : options.from;
}
