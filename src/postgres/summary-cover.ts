import { lsn, type Lsn } from './lsn.ts';
import { lineage, switchPointOf, type TimelineHistory } from './timeline-history.ts';
import type { TimelineId } from './timeline.ts';
import { LONG_HEADER_BYTES } from './wal-header.ts';

/** WAL of one timeline, from `start` to before `end`: a stretch that is needed, or one that a summary tells of. */
export interface WalStretch {
  timeline: TimelineId;
  start: Lsn;
  end: Lsn;
}

/**
 * The WAL between two positions on the way to a timeline, oldest first. `from` lies on `timeline`, an ancestor of the history's or
 * itself; `to` on the history's.
 */
export function stretchesBetween(
  from: { timeline: TimelineId; start: Lsn },
  to: Lsn,
  history: TimelineHistory,
): WalStretch[] {
  const path = lineage(history);
  const found: WalStretch[] = [];
  let { start } = from;
  for (const timeline of path.slice(path.indexOf(from.timeline))) {
    const end = switchPointOf(history, timeline) ?? to;
    if (start < end) found.push({ timeline, start, end });
    start = end;
  }
  return found;
}

/** Those of the summaries that tell of any of the needed WAL. */
export function summariesFor(needed: readonly WalStretch[], summaries: readonly WalStretch[]): WalStretch[] {
  return summaries.filter((one) =>
    needed.some(({ timeline, start, end }) => one.timeline === timeline && one.start < end && one.end > start),
  );
}

/**
 * The first position of the needed WAL that no summary tells of (WalSummariesAreComplete); `undefined`: there is none. Of a timeline that
 * begins at the edge of a page of `walBlockBytes` the server's first summary begins behind that page's header, where no record can
 * be: no record is as short as what two kinds of header differ by.
 */
export function firstUncovered(
  needed: readonly WalStretch[],
  summaries: readonly WalStretch[],
  walBlockBytes: number,
): { timeline: TimelineId; position: Lsn } | undefined {
  for (const { timeline, start, end } of needed) {
    let position: bigint = start;
    for (const one of summaries.filter((each) => each.timeline === timeline).toSorted(byStart)) {
      const isEdge = position % BigInt(walBlockBytes) === 0n;
      const reached = isEdge ? position + BigInt(LONG_HEADER_BYTES) : position;
      if (one.start <= reached && one.end > position) position = one.end;
    }
    if (position < end) return { timeline, position: lsn(position) };
  }
  return undefined;
}

function byStart(a: WalStretch, b: WalStretch): number {
  return a.start < b.start ? -1 : a.start > b.start ? 1 : 0;
}
