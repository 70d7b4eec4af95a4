import { formatLsn, lsn, type Lsn } from './lsn.ts';
import { parseWalHeader, SHORT_HEADER_BYTES, type WalHeader } from './wal-header.ts';
import { walkRecords, type RecordWalk } from './wal-records.ts';

/**
 * How two segments of one name differ. `identical`: in no byte. `same-records`: every valid record is the same, only
 * unused bytes behind the last one differ, as two archivers of one cluster leave them. `different`: in what counts, or
 * nobody can tell.
 */
export type SegmentComparison =
  | { readonly kind: 'identical' }
  | { readonly kind: 'same-records'; readonly firstDifference: number; readonly endLsn: Lsn }
  | {
      readonly kind: 'different';
      /** Offset of the first byte that differs; the shorter one's length where one only ends earlier. */
      readonly firstDifference: number;
      /** The record of `a` that this byte lies in; `undefined`: in none (a header, the tail). */
      readonly recordLsn: Lsn | undefined;
      /** Why, ready for a message. */
      readonly reason: string;
    };

/**
 * Compares the segments that two archivers offer under one name, whose records begin at `segmentStart`. Every record's
 * CRC is proven in both, up to the end of the walk; the bytes behind that are called unused only if they cannot be WAL
 * that this walk failed to read: no page there has this address and holds anything but what is left of a torn record.
 */
export function sameRecords(a: Buffer, b: Buffer, segmentStart: Lsn): SegmentComparison {
  const firstDifference = firstDifferingByte(a, b);
  if (firstDifference === undefined) return { kind: 'identical' };
  const different = (reason: string, recordLsn?: Lsn): SegmentComparison => ({
    kind: 'different',
    firstDifference,
    recordLsn,
    reason,
  });
  if (a.length !== b.length) return different(`they have ${a.length} and ${b.length} bytes`);
  const header = parseWalHeader(a);
  if (!header.ok) return different('the first is no WAL segment');
  if (header.header.major === undefined) return different('they belong to a PostgreSQL version not known here');
  const walkA = walkRecords(a, segmentStart, { verify: 'all' });
  const walkB = walkRecords(b, segmentStart, { verify: 'all' });
  const used = Math.max(usedBytes(walkA, segmentStart, a.length), usedBytes(walkB, segmentStart, b.length));
  if (firstDifference < used) {
    const record = recordAt(a, segmentStart, firstDifference);
    const where = record === undefined ? `byte ${firstDifference}` : `the record at ${formatLsn(record)}`;
    return different(`they differ in ${where}`, record);
  }
  for (const [segment, walk] of [[a, walkA] as const, [b, walkB] as const]) {
    const live = livePage(segment, header.header, walk, used);
    if (live !== undefined) return different(`the page at byte ${live} may hold WAL that could not be read`);
  }
  return { kind: 'same-records', firstDifference, endLsn: walkA.endLsn };
}

function firstDifferingByte(a: Buffer, b: Buffer): number | undefined {
  if (a.equals(b)) return undefined;
  const length = Math.min(a.length, b.length);
  // Halving by comparisons of whole ranges: a byte loop over 16 MB costs far more.
  let from = 0;
  let to = length;
  if (a.subarray(0, length).equals(b.subarray(0, length))) return length;
  while (to - from > 1) {
    const middle = from + ((to - from) >> 1);
    if (a.subarray(from, middle).equals(b.subarray(from, middle))) from = middle;
    else to = middle;
  }
  return from;
}

/** How far the segment counts: whole where its last record goes on in the next one. */
function usedBytes(walk: RecordWalk, segmentStart: Lsn, length: number): number {
  if (walk.end === 'full' || walk.end === 'crosses-end') return length;
  return Number(walk.endLsn - segmentStart);
}

function recordAt(segment: Buffer, segmentStart: Lsn, offset: number): Lsn | undefined {
  const target = lsn(segmentStart + BigInt(offset));
  let found: Lsn | undefined;
  const walk = walkRecords(segment, segmentStart, {
    onRecord: (record) => {
      if (record.lsn <= target) found = record.lsn;
    },
  });
  if (target < walk.endLsn) return found;
  return offset < usedBytes(walk, segmentStart, segment.length) ? walk.endLsn : undefined;
}

/**
 * The first page behind the used bytes that this segment's cluster wrote for this very place and that is not empty. Pages
 * of a recycled file carry older addresses; those that a switch left are empty; a record whose end was never written may
 * go on over some. `undefined`: there is none.
 */
function livePage(segment: Buffer, header: WalHeader, walk: RecordWalk, used: number): number | undefined {
  const block = header.blockBytes;
  let torn = tornBytes(segment, walk, used, block);
  for (let page = Math.ceil(used / block) * block; page + block <= segment.length; page += block) {
    const address = header.pageAddress + BigInt(page);
    if (segment.readUInt16LE(page) !== header.magic || segment.readBigUInt64LE(page + 8) !== address) {
      torn = 0;
      continue;
    }
    if (torn > 0 && segment.readUInt32LE(page + 16) === torn) {
      torn -= Math.min(torn, block - SHORT_HEADER_BYTES);
      continue;
    }
    if (segment.subarray(page + SHORT_HEADER_BYTES, page + block).some((byte) => byte !== 0)) return page;
  }
  return undefined;
}

/** How much of a record that begins where the walk ended would lie on the following pages. */
function tornBytes(segment: Buffer, walk: RecordWalk, used: number, block: number): number {
  if (walk.end !== 'garbage' || used % block === 0 || used + 4 > segment.length) return 0;
  return Math.max(0, segment.readUInt32LE(used) - (block - (used % block)));
}
