/**
 * A record that begins in one segment and goes on in others, proven without its bytes at one place: each segment gives what it holds
 * of it. Parts survive structured cloning.
 */
import { crc32c } from '@node-rs/crc32';
import type { Lsn } from './lsn.ts';

/** A record as far as it was read. */
export interface BegunRecord {
  readonly at: Lsn;
  /** Bytes that lie in later segments. */
  readonly left: number;
  /** Its header, or the beginning of it. */
  readonly header: Uint8Array;
  /** CRC-32C of what follows the header, so far. */
  readonly crc: number;
}

/** What a segment holds of a record that began before it. */
export interface ContinuedPart {
  /** Bytes that were left of it, as the first page says. */
  readonly remaining: number;
  /** Of these, how many lie here. */
  readonly bytes: number;
  /** The first of them: header or not, only who knows the beginning can tell. */
  readonly start: Uint8Array;
  /** CRC-32C of those after `start`. */
  readonly crc: number;
  /** A crash cut it off here, and the server wrote over it. */
  readonly abandoned: boolean;
}

export const RECORD_HEADER_BYTES = 24;
const CRC_AT = 20;
/** Records begin at multiples of 8, with 8 bytes of the header at least. */
const MOST_HEADER_LEFT = 16;
const ZEROS: Buffer = Buffer.alloc(64 * 1024);

/** `pieces`: the record's bytes in order, page headers left out. */
export function beginRecord(at: Lsn, left: number, pieces: Iterable<Buffer>): BegunRecord {
  const { start, crc } = split(pieces, RECORD_HEADER_BYTES);
  return { at, left, header: start, crc };
}

export function continuedPart(remaining: number, pieces: Iterable<Buffer>, abandoned: boolean): ContinuedPart {
  const { start, crc, bytes } = split(pieces, MOST_HEADER_LEFT);
  return { remaining, bytes, start, crc, abandoned };
}

/** The record with one more part. Throws a RangeError where the part is not of a record of this length. */
export function continueRecord(record: BegunRecord, part: ContinuedPart): BegunRecord {
  if (part.remaining !== record.left || part.bytes > record.left) throw new RangeError('a part of another record');
  const ofHeader = Math.min(RECORD_HEADER_BYTES - record.header.length, part.start.length);
  const header = Buffer.concat([record.header, part.start.subarray(0, ofHeader)]);
  const begun = crc32c(Buffer.from(part.start.subarray(ofHeader)), record.crc);
  const crc = joinedCrc(begun, part.crc, part.bytes - part.start.length);
  return { at: record.at, left: record.left - part.bytes, header, crc };
}

/** Whether the CRC-32C of a record of which nothing is left fits: that of its data, then of the header before the checksum (xlogrecord.h). */
export function checksumFits({ header, crc }: BegunRecord): boolean {
  const bytes = Buffer.from(header);
  return bytes.length === RECORD_HEADER_BYTES && crc32c(bytes.subarray(0, CRC_AT), crc) === bytes.readUInt32LE(CRC_AT);
}

function split(pieces: Iterable<Buffer>, startBytes: number): { start: Buffer; crc: number; bytes: number } {
  const start = Buffer.alloc(startBytes);
  let kept = 0;
  let bytes = 0;
  let crc = 0;
  for (const piece of pieces) {
    const first = piece.subarray(0, startBytes - kept);
    start.set(first, kept);
    kept += first.length;
    bytes += piece.length;
    if (piece.length > first.length) crc = crc32c(piece.subarray(first.length), crc);
  }
  return { start: start.subarray(0, kept), crc, bytes };
}

/**
 * The CRC-32C of two runs of bytes, one behind the other, from the one of each. What the first does to the sum of the second depends
 * on the second's length alone, so zeros tell it as well.
 */
function joinedCrc(before: number, after: number, afterBytes: number): number {
  let moved = before;
  let unmoved = 0;
  for (let left = afterBytes; left > 0; left -= ZEROS.length) {
    const zeros = ZEROS.subarray(0, left);
    moved = crc32c(zeros, moved);
    unmoved = crc32c(zeros, unmoved);
  }
  return (after ^ moved ^ unmoved) >>> 0;
}
