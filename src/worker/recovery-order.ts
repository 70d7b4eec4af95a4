import { timelinesOfSegment, type TimelineHistory } from '../postgres/timeline-history.ts';
import { segmentName, segmentNumber, type SegmentFile } from '../postgres/wal-name.ts';

/**
 * The name that recovery asks for after this segment: on the same timeline, until one that it follows begins (XLogFileReadAnyTLI,
 * access/transam/xlogrecovery.c). `target`: the history of the timeline that recovery follows, where it is known and not the file's.
 * `undefined`: there is none.
 */
export function segmentAfter(
  file: SegmentFile,
  { segmentBytes, target }: { segmentBytes: number; target: TimelineHistory | undefined },
): string | undefined {
  const segno = segmentNumber(file, segmentBytes);
  if (segno === undefined) return undefined;
  const next = segno + 1n;
  const newest = target === undefined ? undefined : timelinesOfSegment(target, next, segmentBytes)[0];
  const before = target === undefined ? undefined : timelinesOfSegment(target, segno, segmentBytes)[0];
  // Where the file's own timeline was not the newest, the newer ones lack these segments.
  const timeline = newest !== undefined && newest !== before && newest > file.timeline ? newest : file.timeline;
  return segmentName(timeline, next, segmentBytes);
}
