import { formatTimeline, type TimelineId } from '../postgres/timeline.ts';
import { segmentName, segmentNumber } from '../postgres/wal-name.ts';
import type { CallOptions, ObjectInfo } from '../store/store.ts';
import { logPrefix, parseLogDirectory, parseWalKey, timelinePrefix } from './layout.ts';
import type { Repository } from './repository.ts';
import { StoredSegments } from './stored-segments.ts';
import type { StoredPartial, TimelineWal } from './wal-inventory.ts';

export interface SegmentListing extends CallOptions {
  segmentBytes: number;
  /** Segments below the first and above the second are not listed. */
  from?: bigint | undefined;
  to?: bigint | undefined;
  /** Told of keys that format 1 does not put there, or that no cluster of this segment size writes. */
  onStrange?: (key: string) => void;
}

/** What one repository has of a timeline, or of a range of it: one listing. */
export async function listSegments(
  repository: Pick<Repository, 'store' | 'number'>,
  timeline: TimelineId,
  { signal, segmentBytes, from, to, onStrange }: SegmentListing,
): Promise<TimelineWal> {
  const segments = new StoredSegments();
  const partials: StoredPartial[] = [];
  const name = (segno: bigint): string => segmentName(timeline, segno, segmentBytes);
  const first = from === undefined || from <= 0n ? undefined : name(from);
  const after = first === undefined ? {} : { after: logPrefix(first) + first };
  const isOneLog = from !== undefined && to !== undefined && logPrefix(name(from)) === logPrefix(name(to));
  const prefix = isOneLog ? logPrefix(name(to)) : timelinePrefix(formatTimeline(timeline));
  for await (const entry of repository.store.list(prefix, { signal, ...after })) {
    if (entry.kind === 'directory') continue;
    const file = parseWalKey(entry.key)?.file;
    const segno = file === undefined || file.kind === 'history' ? undefined : segmentNumber(file, segmentBytes);
    if (segno !== undefined && to !== undefined && segno > to) break;
    if (file === undefined || segno === undefined) onStrange?.(entry.key);
    else if (file.kind === 'segment') segments.push({ segno, ...stored(repository, entry) });
    else if (file.kind === 'partial') partials.push({ segno, key: entry.key, ...stored(repository, entry) });
  }
  return { segments, partials };
}

/** The numbers of a timeline's logs that have a directory, rising, from that of segment `from` on: one listing. What is in it may be gone. */
export async function listLogs(
  { store }: Pick<Repository, 'store'>,
  timeline: TimelineId,
  { signal, segmentBytes, from, onStrange }: Omit<SegmentListing, 'to'>,
): Promise<number[]> {
  const logs: number[] = [];
  // Without its slash it sorts right before the directory.
  const begin = from === undefined || from <= 0n ? undefined : logPrefix(segmentName(timeline, from, segmentBytes));
  const after = begin === undefined ? {} : { after: begin.slice(0, -1) };
  const prefix = timelinePrefix(formatTimeline(timeline));
  for await (const entry of store.list(prefix, { signal, delimited: true, maybeEmpty: true, ...after })) {
    const directory = entry.kind === 'directory' ? parseLogDirectory(entry.prefix) : undefined;
    if (directory?.timeline === timeline) logs.push(directory.log);
    else onStrange?.(entry.kind === 'directory' ? entry.prefix : entry.key);
  }
  return logs;
}

function stored({ number }: Pick<Repository, 'number'>, entry: ObjectInfo): Omit<StoredPartial, 'segno' | 'key'> {
  return { storedAt: entry.storedAt, storedBytes: entry.bytes, repositories: [number] };
}
