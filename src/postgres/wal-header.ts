import { formatLsn, lsn, type Lsn } from './lsn.ts';
import { formatTimeline, isTimelineId, type TimelineId } from './timeline.ts';
import {
  isSegmentSize,
  segmentNumber,
  segmentsPerLog,
  segmentStart,
  type PartialFile,
  type SegmentFile,
} from './wal-name.ts';

/** What the first page of a WAL segment says (XLogLongPageHeaderData, access/xlog_internal.h). */
export interface WalHeader {
  readonly magic: number;
  /** The major version that writes this magic; `undefined`: one that this program does not know. */
  readonly major: number | undefined;
  readonly info: number;
  readonly timeline: TimelineId;
  /** Where the segment begins in the WAL. */
  readonly pageAddress: Lsn;
  /** Bytes left of a record that began in the segment before; 0: none. */
  readonly remainingLength: number;
  readonly systemId: bigint;
  readonly segmentBytes: number;
  readonly blockBytes: number;
}

/** One field of a segment that is not as it must be, ready to be shown. */
export interface SegmentFault {
  readonly field: SegmentField;
  readonly found: string;
  readonly expected: string;
}

export type SegmentField =
  | 'file size'
  | 'page magic'
  | 'byte order'
  | 'page flags'
  | 'header timeline'
  | 'page address'
  | 'system identifier'
  | 'segment size'
  | 'block size'
  | 'segment number';

export type WalHeaderResult =
  { readonly ok: true; readonly header: WalHeader } | { readonly ok: false; readonly fault: SegmentFault };

export const LONG_HEADER_BYTES = 40;
export const SHORT_HEADER_BYTES = 24;
/** Page flags, access/xlog_internal.h. */
export const XLP_FIRST_IS_CONTRECORD = 0x0001;
export const XLP_LONG_HEADER = 0x0002;
export const XLP_FIRST_IS_OVERWRITE_CONTRECORD = 0x0008;

const MAJOR_OF_MAGIC: ReadonlyMap<number, number> = new Map([
  [0xd106, 13],
  [0xd10d, 14],
  [0xd110, 15],
  [0xd113, 16],
  [0xd116, 17],
  [0xd118, 18],
]);

/**
 * Reads the header of a segment's first page from at least its first 40 bytes. Only the little-endian form is read;
 * the other byte order is recognised and named. An unknown magic is no fault (`major` is `undefined`): new majors
 * arrive before we do. Nothing is compared here with the file's name: that is checkSegment's.
 */
export function parseWalHeader(page: Buffer): WalHeaderResult {
  if (page.length < LONG_HEADER_BYTES) return fault('file size', `${page.length} bytes`, 'a whole WAL segment');
  const magic = page.readUInt16LE(0);
  if (magic === 0) return fault('page magic', '0000', `a WAL page, for example ${hex(0xd118)}`);
  if (MAJOR_OF_MAGIC.has(page.readUInt16BE(0))) {
    return fault('byte order', 'big-endian', 'little-endian (the host that wrote this WAL is of another architecture)');
  }
  const info = page.readUInt16LE(2);
  if ((info & XLP_LONG_HEADER) === 0) {
    return fault('page flags', hex(info), 'the long header of the first page of a segment (flag 0002)');
  }
  const timeline = page.readUInt32LE(4);
  if (!isTimelineId(timeline)) return fault('header timeline', String(timeline), 'a timeline, 1 or more');
  const segmentBytes = page.readUInt32LE(32);
  if (!isSegmentSize(segmentBytes)) {
    return fault('segment size', String(segmentBytes), 'a power of two from 1 MiB to 1 GiB');
  }
  const blockBytes = page.readUInt32LE(36);
  if (!isWalBlockSize(blockBytes)) return fault('block size', String(blockBytes), 'a power of two from 1 to 64 kB');
  return {
    ok: true,
    header: {
      magic,
      major: MAJOR_OF_MAGIC.get(magic),
      info,
      timeline,
      pageAddress: lsn(page.readBigUInt64LE(8)),
      remainingLength: page.readUInt32LE(16),
      systemId: page.readBigUInt64LE(24),
      segmentBytes,
      blockBytes,
    },
  };
}

function isWalBlockSize(bytes: number): boolean {
  return bytes >= 1024 && bytes <= 65536 && Number.isInteger(Math.log2(bytes));
}

function fault(field: SegmentField, found: string, expected: string): WalHeaderResult {
  return { ok: false, fault: { field, found, expected } };
}

function hex(n: number): string {
  return n.toString(16).toUpperCase().padStart(4, '0');
}

/** What the repository already knows of the cluster; each is compared only where it is given. */
export interface ExpectedSegment {
  readonly systemId?: bigint;
  readonly segmentBytes?: number;
}

/**
 * Everything about a segment's header that contradicts its name, its size or its repository; empty: nothing does.
 * `bytes` is the file's size. A first page may carry an older timeline than the name (after a switch), never a newer one.
 */
export function checkSegment(
  file: SegmentFile | PartialFile,
  bytes: number,
  header: WalHeader,
  expected: ExpectedSegment = {},
): SegmentFault[] {
  const faults: SegmentFault[] = [];
  const must = (field: SegmentFault['field'], right: boolean, found: string, wanted: string): void => {
    if (!right) faults.push({ field, found, expected: wanted });
  };
  const { systemId, segmentBytes } = expected;
  if (systemId !== undefined) {
    must('system identifier', header.systemId === systemId, String(header.systemId), String(systemId));
  }
  if (segmentBytes !== undefined) {
    must('segment size', header.segmentBytes === segmentBytes, String(header.segmentBytes), String(segmentBytes));
  }
  must('file size', bytes === header.segmentBytes, `${bytes} bytes`, `${header.segmentBytes} bytes`);
  must(
    'header timeline',
    header.timeline <= file.timeline,
    formatTimeline(header.timeline),
    `${formatTimeline(file.timeline)} or older`,
  );
  const segno = segmentNumber(file, header.segmentBytes);
  if (segno === undefined) {
    const last = segmentsPerLog(header.segmentBytes) - 1;
    must(
      'segment number',
      false,
      eightDigits(file.seg),
      `at most ${eightDigits(last)} with segments of ${header.segmentBytes} bytes`,
    );
  } else {
    const start = segmentStart(segno, header.segmentBytes);
    must('page address', header.pageAddress === start, formatLsn(header.pageAddress), formatLsn(start));
  }
  return faults;
}

/** One line for a message: `page address is 0/3000000, expected 0/2000000`. */
export function describeFault(fault: SegmentFault): string {
  return `${fault.field} is ${fault.found}, expected ${fault.expected}`;
}

/** What the pages of this major begin with. `undefined`: it is not known here. */
export function magicOf(major: number): number | undefined {
  return [...MAJOR_OF_MAGIC].find(([, one]) => one === major)?.[0];
}

/** What deserves a warning but never a refusal; empty: nothing. */
export function headerWarnings(header: WalHeader): string[] {
  if (header.major !== undefined) return [];
  const magic = header.magic.toString(16).toUpperCase().padStart(4, '0');
  return [`page magic ${magic} belongs to no PostgreSQL version known here (13 to 18)`];
}

function eightDigits(n: number): string {
  return n.toString(16).toUpperCase().padStart(8, '0');
}
