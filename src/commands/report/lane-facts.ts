/** What listings and history files say of the WAL: its timelines, and where it is missing. Pure. */
import { formatLsn } from '../../postgres/lsn.ts';
import { forkPoint, type TimelineHistory } from '../../postgres/timeline-history.ts';
import { segmentName, segnoOfLsn } from '../../postgres/wal-name.ts';
import type { Gap } from '../../repository/coverage.ts';
import { previousStored } from '../../repository/segment-runs.ts';
import { historyOf, walOf, type WalInventory } from '../../repository/wal-inventory.ts';
import type { GapFact, Lane, ReportFacts } from './report-facts.ts';
import type { StoredTimes } from './wal-times.ts';

export function laneOf(timeline: Lane['timeline'], inventory: WalInventory, times: StoredTimes): Lane {
  const lane = times.lanes.get(timeline);
  return {
    timeline,
    fork: forkOf(historyOf(inventory, timeline), inventory),
    segments: walOf(inventory, timeline).segments.size,
    bytes: lane?.bytes ?? 0,
    spans: lane?.spans ?? [],
  };
}

/** The moment is that of the storing of the last segment before it. */
function forkOf(history: TimelineHistory, inventory: WalInventory): Lane['fork'] {
  const at = forkPoint(history);
  const parent = history.entries.at(-1)?.timeline;
  if (at === undefined || parent === undefined) return undefined;
  const { segments } = walOf(inventory, parent);
  const segno = previousStored(segments.runs, segnoOfLsn(at, inventory.segmentBytes));
  const storedAt = segno === undefined ? undefined : segments.get(segno)?.storedAt?.getTime();
  return { parent, lsn: formatLsn(at), at: storedAt };
}

export function lastStored(inventory: WalInventory): ReportFacts['lastStored'] {
  let last: ReportFacts['lastStored'];
  for (const [timeline, { segments }] of inventory.timelines) {
    const segno = segments.runs.at(-1)?.last;
    const at = segno === undefined ? undefined : segments.get(segno)?.storedAt?.getTime();
    if (segno === undefined || at === undefined || (last !== undefined && at <= last.at)) continue;
    last = { name: segmentName(timeline, segno, inventory.segmentBytes), at };
  }
  return last;
}

export function gapFacts(inventory: WalInventory, gaps: readonly Gap[]): GapFact[] {
  const { segmentBytes } = inventory;
  return gaps.map(({ timeline, first, last }) => {
    const { segments } = walOf(inventory, timeline);
    const before = previousStored(segments.runs, first) ?? -1n;
    return {
      timeline,
      first: segmentName(timeline, first, segmentBytes),
      last: segmentName(timeline, last, segmentBytes),
      count: last - first + 1n,
      at: (segments.get(before) ?? segments.get(last + 1n))?.storedAt?.getTime(),
    };
  });
}
