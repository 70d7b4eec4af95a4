/**
 * Which files of a `pg_wal` belong to the server's own history and are complete. Beside them lie segments of timelines that were left,
 * files renamed for later use (whose contents are those of an old segment), and the one being written.
 */
import { forEachParallel } from '../base/parallel.ts';
import type { Lsn } from '../postgres/lsn.ts';
import { lineage, switchPointOf, type TimelineHistory } from '../postgres/timeline-history.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import { checkSegment, parseWalHeader } from '../postgres/wal-header.ts';
import { segmentNumber, segmentStart, segnoOfLsn } from '../postgres/wal-name.ts';
import { readSegmentStart, type LocalWalFile, type PgWal } from './pg-wal.ts';

export interface OwnWalInput {
  wal: Pick<PgWal, 'files' | 'ready' | 'done'>;
  /** Of the timeline that the server is on. */
  history: TimelineHistory;
  systemId: bigint;
  segmentBytes: number;
  /** Up to here WAL is written for certain, on that timeline. `undefined`: only the files tell. */
  written: Lsn | undefined;
}

export interface OwnWal {
  /** Complete segments, oldest first. */
  segments: readonly OwnSegment[];
  /** History files of the timeline and its ancestors. */
  histories: readonly LocalWalFile[];
  /** The last segment that was begun, complete or not. `undefined`: there is none here. */
  newest: OwnSegment | undefined;
}

export interface OwnSegment {
  local: LocalWalFile;
  timeline: TimelineId;
  segno: bigint;
}

/** Reads the first bytes of each segment that may be one. */
export async function findOwnWal(input: OwnWalInput): Promise<OwnWal> {
  const { wal, history, written, segmentBytes } = input;
  const begun = await begunSegments(input);
  const newest = begun.at(-1);
  const isComplete = ({ local, segno, timeline }: OwnSegment): boolean =>
    // The server tells the archiver of complete ones only.
    wal.ready.has(local.file.name) ||
    wal.done.has(local.file.name) ||
    // A segment is written and fsynced whole before the next one is begun.
    (newest !== undefined && segno < newest.segno) ||
    timeline !== history.timeline ||
    (written !== undefined && segmentStart(segno + 1n, segmentBytes) <= written);
  const timelines = new Set<TimelineId>(lineage(history));
  return {
    segments: begun.filter(isComplete),
    histories: input.wal.files.filter(({ file }) => file.kind === 'history' && timelines.has(file.timeline)),
    newest,
  };
}

async function begunSegments({ wal, history, systemId, segmentBytes }: OwnWalInput): Promise<OwnSegment[]> {
  const found: OwnSegment[] = [];
  await forEachParallel(wal.files, 16, async (local) => {
    const { file } = local;
    if (file.kind !== 'segment') return;
    const segno = segmentNumber(file, segmentBytes);
    if (segno === undefined || !isOwn(history, file.timeline, segno, segmentBytes)) return;
    const start = await readSegmentStart(local);
    const parsed = start === undefined ? undefined : parseWalHeader(start);
    if (parsed?.ok !== true) return;
    const faults = checkSegment(file, local.bytes, parsed.header, { systemId, segmentBytes });
    if (faults.length === 0) found.push({ local, timeline: file.timeline, segno });
  });
  return found.sort((a, b) => (a.segno < b.segno ? -1 : a.segno > b.segno ? 1 : 0));
}

/** Whether recovery along this history would read this segment of this timeline. The one that was left half way is not whole there. */
function isOwn(history: TimelineHistory, timeline: TimelineId, segno: bigint, segmentBytes: number): boolean {
  const timelines = lineage(history);
  const at = timelines.indexOf(timeline);
  if (at < 0) return false;
  const parent = timelines[at - 1];
  const begin = parent === undefined ? undefined : switchPointOf(history, parent);
  if (begin !== undefined && segno < segnoOfLsn(begin, segmentBytes)) return false;
  // Every later switch, since after recovery to a point before a fork they fall.
  return history.entries.slice(at).every(({ switchLsn }) => segno < segnoOfLsn(switchLsn, segmentBytes));
}
