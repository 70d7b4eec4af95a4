import type { TimelineId } from '../../postgres/timeline.ts';
import type { BackupId } from '../layout.ts';
import { missingIn, unionOf, type SegmentRun, type SegmentRuns } from '../segment-runs.ts';
import type { ExpiredRange, ExpiredRecord } from './expired-record.ts';
import type { SegmentNeeds } from './segment-needs.ts';
import type { StoredLog } from './stored-log.ts';

/**
 * All the WAL that was given up, now (what is stored of it, and what lies between) and by earlier runs, as few ranges. Pure. A range ends
 * where something stays.
 */
export function givenUp(
  logs: readonly StoredLog[],
  needs: SegmentNeeds,
  earlier: ExpiredRecord | undefined,
  segmentBytes: number,
): ExpiredRange[] {
  const spans = new Map<TimelineId, SegmentRun>();
  for (const log of logs) {
    if (needs.hasAll(log.timeline, log.first, log.last)) continue;
    for (const { segno } of log.objects()) if (!needs.has(log.timeline, segno)) widen(spans, log.timeline, segno);
  }
  const known = earlier?.segmentBytes === segmentBytes ? earlier.wal : [];
  const before = Map.groupBy(known, ({ timeline }) => timeline);
  const timelines = [...new Set([...spans.keys(), ...before.keys()])].sort((a, b) => a - b);
  return timelines.flatMap((timeline) => {
    const span = spans.get(timeline);
    const now: SegmentRuns = span === undefined ? [] : missingIn(needs.runsOf(timeline), span.first, span.last);
    return unionOf([now, before.get(timeline) ?? []]).map((run) => ({ timeline, ...run }));
  });
}

function widen(spans: Map<TimelineId, SegmentRun>, timeline: TimelineId, segno: bigint): void {
  const { first, last } = spans.get(timeline) ?? { first: segno, last: segno };
  if (segno < first) spans.set(timeline, { first: segno, last });
  else spans.set(timeline, { first, last: segno > last ? segno : last });
}

/** Whether a record says it all already: then another one would say nothing new. */
export function isKnown(
  record: ExpiredRecord | undefined,
  { backups, wal }: { backups: readonly BackupId[]; wal: readonly ExpiredRange[] },
): boolean {
  if (record === undefined) return false;
  const ids = new Set(record.backups);
  const text = (ranges: readonly ExpiredRange[]): string =>
    ranges.map(({ timeline, first, last }) => `${timeline} ${first} ${last}`).join();
  return backups.every((id) => ids.has(id)) && text(wal) === text(record.wal);
}
