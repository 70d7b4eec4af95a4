/** Segments in a row, both ends included. */
export interface SegmentRun {
  readonly first: bigint;
  readonly last: bigint;
}

/** Runs that rise and neither touch nor overlap. Arithmetic on these never counts through the segments of a hole: a hostile one is huge. */
export type SegmentRuns = readonly SegmentRun[];

/** The runs of segment numbers in any order, repeated or not. */
export function runsOf(segnos: Iterable<bigint>): SegmentRuns {
  return unionOf([[...segnos].map((segno) => ({ first: segno, last: segno }))]);
}

/** All segments that lie in any of several sets of runs. */
export function unionOf(sets: readonly SegmentRuns[]): SegmentRuns {
  const sorted = sets.flat().sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  const runs: { first: bigint; last: bigint }[] = [];
  for (const { first, last } of sorted) {
    const open = runs.at(-1);
    if (open === undefined || first > open.last + 1n) runs.push({ first, last });
    else if (last > open.last) open.last = last;
  }
  return runs;
}

/** The run that holds this segment. */
export function runWith(runs: SegmentRuns, segno: bigint): SegmentRun | undefined {
  const run = runs[indexOfRunFrom(runs, segno)];
  return run !== undefined && run.first <= segno ? run : undefined;
}

/** The lowest segment of the runs that is not below `segno`. */
export function nextStored(runs: SegmentRuns, segno: bigint): bigint | undefined {
  const run = runs[indexOfRunFrom(runs, segno)];
  if (run === undefined) return undefined;
  return run.first > segno ? run.first : segno;
}

/** The highest segment of the runs that is not above `segno`. */
export function previousStored(runs: SegmentRuns, segno: bigint): bigint | undefined {
  const at = indexOfRunFrom(runs, segno);
  const run = runs[at];
  if (run !== undefined && run.first <= segno) return segno;
  return runs[at - 1]?.last;
}

/** What lies between `first` and `last` (both included) and in none of the runs. */
export function missingIn(runs: SegmentRuns, first: bigint, last: bigint): SegmentRuns {
  const missing: SegmentRun[] = [];
  let from = first;
  for (let at = indexOfRunFrom(runs, first); from <= last; at += 1) {
    const run = runs[at];
    if (run === undefined || run.first > last) {
      missing.push({ first: from, last });
      break;
    }
    if (run.first > from) missing.push({ first: from, last: run.first - 1n });
    from = run.last + 1n;
  }
  return missing;
}

/** How many segments the runs hold. */
export function countOf(runs: SegmentRuns): bigint {
  return runs.reduce((sum, run) => sum + run.last - run.first + 1n, 0n);
}

/** The index of the first run that ends at `segno` or later. */
function indexOfRunFrom(runs: SegmentRuns, segno: bigint): number {
  let low = 0;
  let high = runs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((runs[middle] as SegmentRun).last < segno) low = middle + 1;
    else high = middle;
  }
  return low;
}
