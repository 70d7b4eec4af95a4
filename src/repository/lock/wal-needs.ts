/**
 * Until when WAL is needed, by whole log directories (4 GiB of WAL): locks are lengthened by directories, so that one line of a
 * record answers for 256 segments. A directory is needed as long as the segment in it that is needed longest. Pure.
 *
 * From a backup's start on WAL is needed as long as that backup serves, up to where the next kept backup of the same history ended:
 * the moments before that are reached from the older one alone. What makes a backup consistent is needed as long as the backup.
 */
import type { TimelineHistory } from '../../postgres/timeline-history.ts';
import type { TimelineId } from '../../postgres/timeline.ts';
import { segmentsPerLog, segnoBefore, segnoOfLsn } from '../../postgres/wal-name.ts';
import { liesOn } from '../coverage.ts';
import { pathLegs } from '../recovery-path.ts';
import type { BackupEnds, End, HistoryFacts } from './kept-backups.ts';

/** Ends of the log directories of every timeline. */
export class WalNeeds {
  readonly #byTimeline: ReadonlyMap<TimelineId, readonly LogRange[]>;

  constructor(ranges: ReadonlyMap<TimelineId, readonly LogRange[]>) {
    this.#byTimeline = new Map([...ranges].map(([timeline, each]) => [timeline, stepsOf(each)]));
  }

  /** `undefined`: no kept backup needs anything of this directory. */
  endOf(timeline: TimelineId, log: number): End | undefined {
    const steps = this.#byTimeline.get(timeline) ?? [];
    let low = 0;
    let high = steps.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((steps[middle] as LogRange).last < log) low = middle + 1;
      else high = middle;
    }
    const step = steps[low];
    return step !== undefined && step.first <= log ? step.end : undefined;
  }
}

/** Log directories by number, both included. `last`: Infinity where there is no last one. */
export interface LogRange {
  readonly first: number;
  readonly last: number;
  readonly end: End;
}

/** What of the WAL is needed beyond `now` (ms since 1970). */
export function walNeeds(
  backups: readonly BackupEnds[],
  facts: HistoryFacts,
  sizes: { segmentBytes: number; now: number },
): WalNeeds {
  const perLog = BigInt(segmentsPerLog(sizes.segmentBytes));
  const byTimeline = new Map<TimelineId, LogRange[]>();
  for (const { timeline, first, last, end } of neededSpans(backups, facts, sizes)) {
    const logs = { first: Number(first / perLog), last: last === undefined ? Infinity : Number(last / perLog), end };
    const known = byTimeline.get(timeline);
    if (known === undefined) byTimeline.set(timeline, [logs]);
    else known.push(logs);
  }
  return new WalNeeds(byTimeline);
}

/** Segments of one timeline in a row, both included. `last` undefined: as far as there is WAL. */
export interface NeededSpan {
  readonly timeline: TimelineId;
  readonly first: bigint;
  readonly last: bigint | undefined;
  readonly end: End;
}

/** The same by segments, as it comes: spans overlap. */
export function* neededSpans(
  backups: readonly BackupEnds[],
  facts: HistoryFacts,
  { segmentBytes, now }: { segmentBytes: number; now: number },
): Generator<NeededSpan> {
  for (const { backup, alone } of backups) {
    if (alone <= now) continue;
    const last = segnoBefore(backup.stopLsn, segmentBytes);
    yield* along(
      facts.historyOf(backup.timeline),
      { from: firstOf(backup, segmentBytes), last, end: alone },
      segmentBytes,
    );
  }
  const serving = backups.filter(({ serves }) => serves > now);
  for (const timeline of facts.timelines) {
    const history = facts.historyOf(timeline);
    const on = serving.filter(({ backup }) => liesOn(backup, history)).sort(byStart);
    let next: bigint | undefined;
    for (const { backup, restorable, serves } of on.toReversed()) {
      yield* along(history, { from: firstOf(backup, segmentBytes), last: next, end: serves }, segmentBytes);
      if (restorable) next = segnoBefore(backup.stopLsn, segmentBytes);
    }
  }
}

function* along(
  history: TimelineHistory,
  { from, last, end }: { from: bigint; last: bigint | undefined; end: End },
  segmentBytes: number,
): Generator<NeededSpan> {
  for (const leg of pathLegs(history, from, segmentBytes)) {
    const to = lower(leg.last, last);
    if (to === undefined || to >= leg.first) yield { timeline: leg.timeline, first: leg.first, last: to, end };
  }
}

/** The same ends without overlaps, rising: of several that hold a directory the latest. */
function stepsOf(ranges: readonly LogRange[]): LogRange[] {
  const rising = [...ranges].sort((a, b) => a.first - b.first);
  const edges = [...new Set(ranges.flatMap(({ first, last }) => [first, last + 1]))].sort((a, b) => a - b);
  const steps: LogRange[] = [];
  let open: LogRange[] = [];
  let taken = 0;
  for (const [at, first] of edges.entries()) {
    open = open.filter(({ last }) => last >= first);
    for (; rising[taken]?.first === first; taken += 1) open.push(rising[taken] as LogRange);
    const next = edges[at + 1];
    if (open.length === 0 || next === undefined) continue;
    const end = open.reduce((latest, range) => Math.max(latest, range.end), 0);
    const before = steps.at(-1);
    if (before?.last === first - 1 && before.end === end) steps[steps.length - 1] = { ...before, last: next - 1 };
    else steps.push({ first, last: next - 1, end });
  }
  return steps;
}

function firstOf({ startLsn }: BackupEnds['backup'], segmentBytes: number): bigint {
  return segnoOfLsn(startLsn, segmentBytes);
}

function byStart(a: BackupEnds, b: BackupEnds): number {
  return a.backup.startLsn < b.backup.startLsn ? -1 : a.backup.startLsn > b.backup.startLsn ? 1 : 0;
}

function lower(a: bigint | undefined, b: bigint | undefined): bigint | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return a < b ? a : b;
}
