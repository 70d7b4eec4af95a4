import type { TimelineId } from '../../postgres/timeline.ts';
import type { NeededSpan } from '../lock/wal-needs.ts';
import { unionOf, type SegmentRuns } from '../segment-runs.ts';

/** The segments of each timeline that stay. */
export class SegmentNeeds {
  readonly #runs: ReadonlyMap<TimelineId, SegmentRuns>;

  constructor(spans: Iterable<Pick<NeededSpan, 'timeline' | 'first' | 'last'>>) {
    const byTimeline = Map.groupBy(spans, ({ timeline }) => timeline);
    this.#runs = new Map(
      [...byTimeline].map(([timeline, each]) => [
        timeline,
        unionOf([each.map(({ first, last = BEYOND }) => ({ first, last }))]),
      ]),
    );
  }

  static everything(timelines: readonly TimelineId[]): SegmentNeeds {
    return new SegmentNeeds(timelines.map((timeline) => ({ timeline, first: 0n, last: undefined })));
  }

  has(timeline: TimelineId, segno: bigint): boolean {
    const runs = this.runsOf(timeline);
    let low = 0;
    let high = runs.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((runs[middle]?.last ?? 0n) < segno) low = middle + 1;
      else high = middle;
    }
    return (runs[low]?.first ?? BEYOND) <= segno;
  }

  /** Whether all between these two, both included, stay. */
  hasAll(timeline: TimelineId, first: bigint, last: bigint): boolean {
    return this.runsOf(timeline).some((run) => run.first <= first && last <= run.last);
  }

  /** Whether anything between these two does. */
  hasAny(timeline: TimelineId, first: bigint, last: bigint): boolean {
    return this.runsOf(timeline).some((run) => run.first <= last && first <= run.last);
  }

  runsOf(timeline: TimelineId): SegmentRuns {
    return this.#runs.get(timeline) ?? [];
  }
}

/** Above every number that a segment can have (2^64 bytes in segments of 1 MiB). */
const BEYOND = 1n << 45n;
