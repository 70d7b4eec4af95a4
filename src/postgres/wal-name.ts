import { lsn, type Lsn } from './lsn.ts';
import { formatTimeline, isTimelineId, type TimelineId } from './timeline.ts';

/** PostgreSQL's default, `initdb --wal-segsize=16`. */
export const DEFAULT_SEGMENT_BYTES: number = 16 * 1024 * 1024;

const MIB = 1024 * 1024;
const LOG_BYTES = 0x1_0000_0000;

/**
 * The four names that PostgreSQL hands to `archive_command` (access/xlog_internal.h). `log` and `seg` are the middle and
 * the last 8 digits as written: what they mean in bytes depends on the cluster's segment size (see segmentNumber).
 */
export type WalFile = SegmentFile | PartialFile | HistoryFile | BackupLabelFile;

export interface SegmentFile {
  readonly kind: 'segment';
  readonly name: string;
  readonly timeline: TimelineId;
  readonly log: number;
  readonly seg: number;
}

/** The old timeline's last segment, as a promotion leaves it; it may end in recycled garbage. */
export interface PartialFile {
  readonly kind: 'partial';
  readonly name: string;
  /** The whole segment's name, 24 digits. */
  readonly segment: string;
  readonly timeline: TimelineId;
  readonly log: number;
  readonly seg: number;
}

export interface HistoryFile {
  readonly kind: 'history';
  readonly name: string;
  readonly timeline: TimelineId;
}

/** The label that a finished base backup leaves in the archive. */
export interface BackupLabelFile {
  readonly kind: 'backup-label';
  readonly name: string;
  /** The segment that the backup starts in, 24 digits. */
  readonly segment: string;
  readonly timeline: TimelineId;
  readonly log: number;
  readonly seg: number;
  /** Where in that segment it starts, in bytes. */
  readonly offset: number;
}

const SHAPE = /^([0-9A-F]{8})(?:([0-9A-F]{8})([0-9A-F]{8})(\.partial|\.([0-9A-F]{8})\.backup)?|\.history)$/;

/**
 * Reads a WAL file's name exactly as PostgreSQL writes it: upper case digits, no directory, nothing after it.
 * `undefined`: no such name, timeline 0 included (PostgreSQL never writes it).
 */
export function parseWalName(name: string): WalFile | undefined {
  // Longest name: 24 + 1 + 8 + 7. Checked first, so that no long text reaches the expression.
  if (name.length > 40) return undefined;
  const match = SHAPE.exec(name);
  if (match === null) return undefined;
  const [, timelineText = '', logText, segText, suffix, offsetText] = match;
  const timeline = Number.parseInt(timelineText, 16);
  if (!isTimelineId(timeline)) return undefined;
  if (logText === undefined || segText === undefined) return { kind: 'history', name, timeline };
  const log = Number.parseInt(logText, 16);
  const seg = Number.parseInt(segText, 16);
  if (suffix === undefined) return { kind: 'segment', name, timeline, log, seg };
  const segment = name.slice(0, 24);
  if (offsetText === undefined) return { kind: 'partial', name, segment, timeline, log, seg };
  return { kind: 'backup-label', name, segment, timeline, log, seg, offset: Number.parseInt(offsetText, 16) };
}

/** The name of a timeline's history file, for example `00000002.history`. */
export function historyName(timeline: TimelineId): string {
  return `${formatTimeline(timeline)}.history`;
}

/** Whether `bytes` is a WAL segment size that initdb accepts: a power of two from 1 MiB to 1 GiB (IsValidWalSegSize). */
export function isSegmentSize(bytes: number): boolean {
  return Number.isInteger(bytes) && bytes >= MIB && bytes <= 1024 * MIB && Number.isInteger(Math.log2(bytes));
}

/** How many segments make one 4 GiB "log", the middle part of a segment's name. */
export function segmentsPerLog(segmentBytes: number): number {
  return LOG_BYTES / segmentBytes;
}

/**
 * The segment's number counted from the start of the WAL. `undefined`: the last 8 digits are out of range for this
 * segment size, so the file belongs to a cluster with another one, or to none.
 */
export function segmentNumber(
  file: { readonly log: number; readonly seg: number },
  segmentBytes: number,
): bigint | undefined {
  const perLog = segmentsPerLog(segmentBytes);
  if (file.seg >= perLog) return undefined;
  return BigInt(file.log) * BigInt(perLog) + BigInt(file.seg);
}

/** The 24 digits that PostgreSQL names this segment by (XLogFileName). Throws a RangeError past the last possible one. */
export function segmentName(timeline: TimelineId, segno: bigint, segmentBytes: number): string {
  const perLog = BigInt(segmentsPerLog(segmentBytes));
  const log = segno / perLog;
  if (segno < 0n || log > 0xffff_ffffn) throw new RangeError(`there is no WAL segment number ${segno}`);
  return formatTimeline(timeline) + eightDigits(log) + eightDigits(segno % perLog);
}

/** Where the segment begins. */
export function segmentStart(segno: bigint, segmentBytes: number): Lsn {
  return lsn(segno * BigInt(segmentBytes));
}

/** The segment that holds the byte at this position (XLByteToSeg). */
export function segnoOfLsn(position: Lsn, segmentBytes: number): bigint {
  return position / BigInt(segmentBytes);
}

/** The segment that holds the last byte before this position (XLByteToPrevSeg): the last one a backup ending here needs. */
export function segnoBefore(position: Lsn, segmentBytes: number): bigint {
  return position === 0n ? 0n : (position - 1n) / BigInt(segmentBytes);
}

/** The name of the segment after this one, on the same timeline. `undefined`: this one does not exist at this size. */
export function nextSegmentName(
  file: { readonly timeline: TimelineId; readonly log: number; readonly seg: number },
  segmentBytes: number,
): string | undefined {
  const segno = segmentNumber(file, segmentBytes);
  return segno === undefined ? undefined : segmentName(file.timeline, segno + 1n, segmentBytes);
}

function eightDigits(n: bigint): string {
  return n.toString(16).toUpperCase().padStart(8, '0');
}
