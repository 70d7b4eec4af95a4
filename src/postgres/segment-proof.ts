import { lsn, type Lsn } from './lsn.ts';
import { RecordCursor } from './record-cursor.ts';
import { beginRecord, continuedPart, type BegunRecord, type ContinuedPart } from './record-parts.ts';
import {
  LONG_HEADER_BYTES,
  SHORT_HEADER_BYTES,
  XLP_FIRST_IS_CONTRECORD,
  XLP_FIRST_IS_OVERWRITE_CONTRECORD,
  type WalHeader,
} from './wal-header.ts';

/** What proving every record of a segment found. It survives structured cloning. */
export interface SegmentProof {
  /** Whole records that begin here, each with a fitting CRC-32C. */
  readonly records: number;
  /** Where the first of them says that the record before it begins; 0: nothing is before it. */
  readonly firstPrevious: Lsn | undefined;
  /** Where the last of them begins. */
  readonly lastRecord: Lsn | undefined;
  /** What it holds of a record that began before it. */
  readonly head: ContinuedPart | undefined;
  /** Whether it begins in place of a record that a crash cut off at the end of the segment before. */
  readonly overwrites: boolean;
  /** A record that goes on in the next segment. */
  readonly tail: BegunRecord | undefined;
  /** Where its records end before it does, other than by a switch. */
  readonly broken: BrokenEnd | undefined;
}

export interface BrokenEnd {
  /** Where a valid record should begin. */
  readonly at: Lsn;
  /** `checksum`: one that is of this place, and not what was written. `zeros`: nothing. `no-record`: anything else. */
  readonly why: 'checksum' | 'zeros' | 'no-record';
  /** Whether pages of this very place follow: then it is no end, as a crash or a promotion leaves it, but damage. */
  readonly goesOn: boolean;
}

/**
 * Proves page headers, links and the CRC-32C of every record up to the valid end. `header` is the segment's own. The layout is that of
 * PostgreSQL 13 to 18. Never throws on any bytes.
 */
export function proveSegment(segment: Buffer, header: WalHeader): SegmentProof {
  const cursor = new RecordCursor(segment, header);
  const position = (offset: number): Lsn => lsn(header.pageAddress + BigInt(offset));
  const head = headOf(segment, header, cursor);
  let records = 0;
  let firstPrevious: Lsn | undefined;
  let last = -1;
  let why: BrokenEnd['why'] | undefined;
  while (cursor.step()) {
    if (!cursor.checksumFits()) {
      why = 'checksum';
      break;
    }
    if (records === 0) firstPrevious = lsn(cursor.bytes().readBigUInt64LE(8));
    records += 1;
    last = cursor.at;
    if (cursor.isSwitch) break;
  }
  if (cursor.end === 'garbage' || cursor.end === 'zeros') why = cursor.end === 'zeros' ? 'zeros' : 'no-record';
  const at = why === 'checksum' ? cursor.at : cursor.next;
  return {
    records,
    firstPrevious,
    lastRecord: last < 0 ? undefined : position(last),
    head,
    overwrites: (header.info & XLP_FIRST_IS_OVERWRITE_CONTRECORD) !== 0,
    tail: cursor.end === 'crosses-end' ? tailOf(segment, header, cursor.next) : undefined,
    broken: why === undefined ? undefined : { at: position(at), why, goesOn: goesOnBehind(segment, header, at) },
  };
}

/** Before its first step the cursor stands behind what is continued. */
function headOf(segment: Buffer, header: WalHeader, { next, end }: RecordCursor): ContinuedPart | undefined {
  if ((header.info & XLP_FIRST_IS_CONTRECORD) === 0) return undefined;
  const remaining = header.remainingLength;
  const part = continuedPart(remaining, contentOf(segment, header.blockBytes, 0, next, remaining), false);
  return { ...part, abandoned: part.bytes < remaining && end !== 'crosses-end' };
}

function tailOf(segment: Buffer, header: WalHeader, next: number): BegunRecord | undefined {
  if (next >= segment.length) return undefined;
  const { blockBytes } = header;
  const at = next % blockBytes === 0 ? next + headerBytes(next) : next;
  const total = segment.readUInt32LE(at);
  const pieces = [...contentOf(segment, blockBytes, next, segment.length, total)];
  const here = pieces.reduce((sum, piece) => sum + piece.length, 0);
  return beginRecord(lsn(header.pageAddress + BigInt(at)), total - here, pieces);
}

/** The bytes between two offsets without page headers, at most so many. */
function* contentOf(segment: Buffer, block: number, from: number, to: number, most: number): Generator<Buffer> {
  let at = from;
  let left = most;
  while (at < to && left > 0) {
    if (at % block === 0) at += headerBytes(at);
    const pageEnd = at - (at % block) + block;
    const piece = segment.subarray(at, Math.min(pageEnd, to, at + left));
    yield piece;
    left -= piece.length;
    at = pageEnd;
  }
}

/** Whether a page behind `from` was written for this place and holds anything. Those of a recycled file carry older addresses. */
function goesOnBehind(segment: Buffer, { blockBytes, magic, pageAddress }: WalHeader, from: number): boolean {
  for (
    let page = (Math.floor(from / blockBytes) + 1) * blockBytes;
    page + blockBytes <= segment.length;
    page += blockBytes
  ) {
    if (segment.readUInt16LE(page) !== magic || segment.readBigUInt64LE(page + 8) !== pageAddress + BigInt(page))
      continue;
    if (segment.subarray(page + SHORT_HEADER_BYTES, page + blockBytes).some((byte) => byte !== 0)) return true;
  }
  return false;
}

function headerBytes(page: number): number {
  return page === 0 ? LONG_HEADER_BYTES : SHORT_HEADER_BYTES;
}
