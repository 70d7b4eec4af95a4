const LANES = 32;
const PRIME = 16777619;

/** Where each lane starts (checksumBaseOffsets, storage/checksum_impl.h). */
const BASE: readonly number[] = [
  0x5b1f36e9, 0xb8525960, 0x02ab50aa, 0x1de66d2a, 0x79ff467a, 0x9bb9f8a3, 0x217e7cd2, 0x83e13d2c, 0xf8d4474f,
  0xe39eb970, 0x42c6ae16, 0x993216fa, 0x7b093b5d, 0x98daff3c, 0xf718902a, 0x0b1c9cdb, 0xe58f764b, 0x187636bc,
  0x5d7b3bb1, 0xe73de7de, 0x92bec979, 0xcca6c0b2, 0x304a0979, 0x85aa43d4, 0x783125bb, 0x6ca8eaa2, 0xe407eac6,
  0x4b5cfc3e, 0x9fbf8c76, 0x15ca20be, 0xf2ca9fd3, 0x959bd756,
];

/**
 * The indexes of the pages in `buffer` whose checksum does not fit; empty: all are well. `firstBlock` is the block number
 * of the first page in its relation (it is mixed into the checksum), `pageBytes` the cluster's block size. Bytes after the
 * last whole page are not looked at.
 *
 * As PostgreSQL's own base backup does (backup/basebackup.c), a page with pd_upper 0 counts as new and has no checksum:
 * all zeros, or a fresh page of which only the later sectors have reached the disk yet, which WAL replay mends.
 */
export function checkPages(buffer: Buffer, firstBlock: number, pageBytes: number): number[] {
  const words = wordsOf(buffer, buffer.length - (buffer.length % pageBytes));
  const wordsPerPage = pageBytes / 4;
  const bad: number[] = [];
  for (let page = 0, at = 0; at + wordsPerPage <= words.length; page++, at += wordsPerPage) {
    if (isNewPage(words, at)) continue;
    const stored = (words[at + 2] ?? 0) & 0xffff;
    if (checksumAt(words, at, wordsPerPage, firstBlock + page) !== stored) bad.push(page);
  }
  return bad;
}

/** The checksum that this page must carry as block `block` of its relation (pg_checksum_page): 1 to 65535. */
export function pageChecksum(page: Buffer, block: number): number {
  return checksumAt(wordsOf(page, page.length), 0, page.length / 4, block);
}

/** pd_upper is the upper half of the fourth word. */
function isNewPage(words: Int32Array, at: number): boolean {
  return (words[at + 3] ?? 0) >>> 16 === 0;
}

/** A view where the buffer's place in memory allows one, else a copy. */
function wordsOf(buffer: Buffer, bytes: number): Int32Array {
  if (buffer.byteOffset % 4 === 0) return new Int32Array(buffer.buffer, buffer.byteOffset, bytes >>> 2);
  return new Int32Array(buffer.buffer.slice(buffer.byteOffset, buffer.byteOffset + bytes));
}

/**
 * FNV-1a over 32 lanes, folded. Eight lanes at a time: their sums stay in registers, and eight independent
 * multiplications hide each other's latency. The checksum's own field, half of the third word, counts as zero; it is not
 * set to zero and back, since the page may lie in memory that other threads read.
 */
function checksumAt(words: Int32Array, at: number, count: number, block: number): number {
  let folded = 0;
  for (let lane = 0; lane < LANES; lane += 8) folded ^= foldEightLanes(words, at, count, lane);
  return (((folded ^ block) >>> 0) % 65535) + 1;
}

function foldEightLanes(words: Int32Array, at: number, count: number, lane: number): number {
  let a = BASE[lane]! | 0;
  let b = BASE[lane + 1]! | 0;
  let c = BASE[lane + 2]! | 0;
  let d = BASE[lane + 3]! | 0;
  let e = BASE[lane + 4]! | 0;
  let f = BASE[lane + 5]! | 0;
  let g = BASE[lane + 6]! | 0;
  let h = BASE[lane + 7]! | 0;
  const end = at + count;
  let masked = lane === 0 ? words[at + 2]! & 0xffff : 0;
  for (let i = at + lane; i < end; i += LANES) {
    a = round(a ^ words[i]!);
    b = round(b ^ words[i + 1]!);
    c = round(c ^ words[i + 2]! ^ masked);
    masked = 0;
    d = round(d ^ words[i + 3]!);
    e = round(e ^ words[i + 4]!);
    f = round(f ^ words[i + 5]!);
    g = round(g ^ words[i + 6]!);
    h = round(h ^ words[i + 7]!);
  }
  return (
    round(round(a)) ^
    round(round(b)) ^
    round(round(c)) ^
    round(round(d)) ^
    round(round(e)) ^
    round(round(f)) ^
    round(round(g)) ^
    round(round(h))
  );
}

function round(mixed: number): number {
  return Math.imul(mixed, PRIME) ^ (mixed >>> 17);
}
