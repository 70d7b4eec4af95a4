/** What a server may have in its pages and its backup not. */
const PAGE_BYTES = 8192;
const HEADER_BYTES = 24;
const CHECKSUM_AT = 8;
const FLAGS_AT = 10;
const LOWER_AT = 12;
const SPECIAL_AT = 16;
const PRUNE_XID_AT = 20;
/** PD_HAS_FREE_LINES, PD_PAGE_FULL. */
const HINT_FLAGS = 0x0003;
const LP_NORMAL = 1;
const LP_DEAD = 3;
const INFOMASK_AT = 20;
/** HEAP_XMIN_COMMITTED and _INVALID, both of them: frozen. */
const XMIN_BITS = 0x0300;
/** HEAP_XMAX_COMMITTED and _INVALID. */
const XMAX_BITS = 0x0c00;
/** BTP_HAS_GARBAGE, LH_PAGE_HAS_DEAD_TUPLES, F_HAS_GARBAGE, in the flags of a btree's, a hash's and a gist's special space. */
const GARBAGE = { btree: 0x40, hash: 0x80, gist: 0x10 };
const HASH_PAGE_ID = 0xff80;
const GIST_PAGE_ID = 0xff81;
const MAX_BTREE_CYCLE_ID = 0xff7f;

/** SPGIST_MAGIC_NUMBER, first in the contents of an SP-GiST index's first page. */
const SPGIST_MAGIC = 0xba0babee;

/**
 * The page of a main fork without what no server logs: an SP-GiST index's cache of pages with room, in its first page, which
 * SpGistUpdateMetaPage (access/spgist/spgutils.c) changes without WAL and without an LSN; and the checksum that covers it.
 */
export function withoutCaches(page: Buffer): Buffer {
  if (page.readUInt32LE(HEADER_BYTES) !== SPGIST_MAGIC) return page;
  const masked = Buffer.from(page);
  masked.writeUInt16LE(0, CHECKSUM_AT);
  return masked.fill(0, HEADER_BYTES + 4, Math.min(masked.readUInt16LE(LOWER_AT), PAGE_BYTES));
}

/**
 * The page of a main fork without hints, for servers that do not log them, by PostgreSQL's own masks (access/common/bufmask.c and the
 * mask functions of access methods); and without its checksum, which covers them.
 */
export function withoutHints(page: Buffer): Buffer {
  const masked = Buffer.from(withoutCaches(page));
  masked.writeUInt16LE(0, CHECKSUM_AT);
  masked.writeUInt16LE(masked.readUInt16LE(FLAGS_AT) & ~HINT_FLAGS, FLAGS_AT);
  masked.writeUInt32LE(0, PRUNE_XID_AT);
  const special = masked.readUInt16LE(SPECIAL_AT);
  if (special === PAGE_BYTES) maskTuples(masked);
  else if (special === PAGE_BYTES - 16) maskIndex(masked, special);
  return masked;
}

function maskTuples(page: Buffer): void {
  for (const { flags, offset } of linePointers(page)) {
    if (flags !== LP_NORMAL || offset + INFOMASK_AT + 2 > PAGE_BYTES) continue;
    const infomask = page.readUInt16LE(offset + INFOMASK_AT);
    const isFrozen = (infomask & XMIN_BITS) === XMIN_BITS;
    page.writeUInt16LE(infomask & ~(isFrozen ? XMAX_BITS : XMIN_BITS | XMAX_BITS), offset + INFOMASK_AT);
  }
}

/** Items that a scan has found dead. */
function maskIndex(page: Buffer, special: number): void {
  const id = page.readUInt16LE(PAGE_BYTES - 2);
  const garbage =
    id === HASH_PAGE_ID
      ? GARBAGE.hash
      : id === GIST_PAGE_ID
        ? GARBAGE.gist
        : id <= MAX_BTREE_CYCLE_ID
          ? GARBAGE.btree
          : 0;
  page.writeUInt16LE(page.readUInt16LE(special + 12) & ~garbage, special + 12);
  for (const { flags, at, word } of linePointers(page)) {
    if (flags === LP_DEAD) page.writeUInt32LE(((word & ~(3 << 15)) | (LP_NORMAL << 15)) >>> 0, at);
  }
}

/** ItemIdData: the offset in 15 bits, flags in 2, the length in 15. */
function linePointers(page: Buffer): { at: number; word: number; flags: number; offset: number }[] {
  const lower = Math.min(page.readUInt16LE(LOWER_AT), PAGE_BYTES);
  const found = [];
  for (let at = HEADER_BYTES; at + 4 <= lower; at += 4) {
    const word = page.readUInt32LE(at);
    found.push({ at, word, flags: (word >>> 15) & 3, offset: word & 0x7fff });
  }
  return found;
}
