/**
 * Which segment of which timeline recovery reads: the newest timeline of the target's history that had begun by then
 * (XLogFileReadAnyTLI, access/transam/xlogrecovery.c).
 */
import { lineage, switchPointOf, type TimelineHistory } from '../postgres/timeline-history.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import { segnoOfLsn } from '../postgres/wal-name.ts';
import { countOf, missingIn, nextStored, runWith } from './segment-runs.ts';
import { walOf, type WalInventory } from './wal-inventory.ts';

/** One segment of a timeline. */
export interface PathSegment {
  readonly timeline: TimelineId;
  readonly segno: bigint;
}

/** The segments that a path takes from one timeline, both ends included. */
export interface PathLeg {
  readonly timeline: TimelineId;
  readonly first: bigint;
  /** `undefined` on the last leg alone: as far as there is WAL. */
  readonly last: bigint | undefined;
}

/** The legs of the way along `history` from segment `from` on, oldest timeline first. Timelines without a segment of their own are left out. */
export function pathLegs(history: TimelineHistory, from: bigint, segmentBytes: number): PathLeg[] {
  const legs: PathLeg[] = [];
  const timelines = lineage(history);
  let above: bigint | undefined;
  for (let at = timelines.length - 1; at >= 0; at -= 1) {
    const timeline = timelines[at] as TimelineId;
    const parent = timelines[at - 1];
    const fork = parent === undefined ? undefined : switchPointOf(history, parent);
    const begin = fork === undefined ? 0n : segnoOfLsn(fork, segmentBytes);
    const first = begin > from ? begin : from;
    const last = above === undefined ? undefined : above - 1n;
    if (last === undefined || first <= last) legs.unshift({ timeline, first, last });
    // After recovery to a point before a fork, switch points fall: the newest timeline wins wherever it had begun.
    if (above === undefined || begin < above) above = begin;
    if (above <= from) break;
  }
  return legs;
}

/** How far the stored WAL goes along a path without a break. */
export interface Reach {
  /** The last segment before the first that is missing. `undefined`: the very first is missing. */
  readonly last: PathSegment | undefined;
  /** The first segment that is not stored. */
  readonly missing: PathSegment;
  /** The next that is stored beyond it on this path, as a segment or as a partial: then there is a hole. `undefined`: the WAL ends here. */
  readonly next: PathSegment | undefined;
}

export function reachAlong(legs: readonly PathLeg[], inventory: WalInventory): Reach {
  let last: PathSegment | undefined;
  for (const [index, leg] of legs.entries()) {
    const run = runWith(walOf(inventory, leg.timeline).segments.runs, leg.first);
    const end = run === undefined ? undefined : lower(run.last, leg.last);
    if (end !== undefined) last = { timeline: leg.timeline, segno: end };
    if (end !== undefined && end === leg.last) continue;
    const missing: PathSegment = { timeline: leg.timeline, segno: end === undefined ? leg.first : end + 1n };
    return { last, missing, next: nextAlong(legs.slice(index), missing.segno, inventory) };
  }
  throw new RangeError('a path without an open end');
}

/** The segments missing between two of a path (both included), by timeline. */
export function missingAlong(
  legs: readonly PathLeg[],
  upTo: bigint,
  inventory: WalInventory,
): { timeline: TimelineId; first: bigint; last: bigint }[] {
  return legs.flatMap((leg) => {
    const last = lower(upTo, leg.last);
    const runs = walOf(inventory, leg.timeline).segments.runs;
    return missingIn(runs, leg.first, last).map((run) => ({ timeline: leg.timeline, ...run }));
  });
}

/** Where on the path this segment number lies. `undefined`: before its beginning. */
export function legOf(legs: readonly PathLeg[], segno: bigint): PathLeg | undefined {
  return legs.find((leg) => leg.first <= segno && (leg.last === undefined || segno <= leg.last));
}

/** How many segments the path has up to `segno`, stored or not. */
export function lengthUpTo(legs: readonly PathLeg[], segno: bigint): bigint {
  return countOf(
    legs.map((leg) => ({ first: leg.first, last: lower(segno, leg.last) })).filter(({ first, last }) => first <= last),
  );
}

/** The first segment or partial that is stored on these legs above `segno`. */
function nextAlong(legs: readonly PathLeg[], segno: bigint, inventory: WalInventory): PathSegment | undefined {
  for (const leg of legs) {
    const wal = walOf(inventory, leg.timeline);
    const from = leg.first > segno ? leg.first : segno + 1n;
    const found = [
      nextStored(wal.segments.runs, from),
      wal.partials.find((partial) => partial.segno >= from)?.segno,
    ].filter((one) => one !== undefined && (leg.last === undefined || one <= leg.last));
    const [first] = found.sort((a, b) => ((a as bigint) < (b as bigint) ? -1 : 1));
    if (first !== undefined) return { timeline: leg.timeline, segno: first };
  }
  return undefined;
}

function lower(segno: bigint, last: bigint | undefined): bigint {
  return last !== undefined && last < segno ? last : segno;
}
