/**
 * CRC-32C (Castagnoli) of short runs of words, in JavaScript: a call out of it costs more than a record of a hundred bytes. Long ones
 * are `stream/checksum.ts`'s.
 */

/** The polynomial, its bits reversed (port/pg_crc32c_sb8.c). */
const POLYNOMIAL = 0x82f63b78;
const BYTE_VALUES = 256;
const TABLES = 8;

/** One table behind the other; the n-th is for a byte that n others follow. */
const table = makeTables();

/**
 * Goes on from `before` (0 at first) over `bytes` bytes from the word `from` on, a little-endian machine's. What lies behind the last
 * whole pair of words is taken a byte at a time.
 */
export function crc32cOfWords(words: Uint32Array, from: number, bytes: number, before: number): number {
  let crc = ~before;
  let word = from;
  const pairsEnd = from + ((bytes >>> 3) << 1);
  while (word < pairsEnd) {
    crc ^= words[word]!;
    const next = words[word + 1]!;
    crc =
      table[1792 + (crc & 0xff)]! ^
      table[1536 + ((crc >>> 8) & 0xff)]! ^
      table[1280 + ((crc >>> 16) & 0xff)]! ^
      table[1024 + (crc >>> 24)]! ^
      table[768 + (next & 0xff)]! ^
      table[512 + ((next >>> 8) & 0xff)]! ^
      table[256 + ((next >>> 16) & 0xff)]! ^
      table[next >>> 24]!;
    word += 2;
  }
  for (let left = bytes & 7, at = 0; at < left; at++) {
    const byte = words[word + (at >>> 2)]! >>> ((at & 3) * 8);
    crc = table[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  }
  return ~crc >>> 0;
}

function makeTables(): Int32Array {
  const tables = new Int32Array(TABLES * BYTE_VALUES);
  for (let value = 0; value < BYTE_VALUES; value++) {
    let crc = value;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    tables[value] = crc;
  }
  for (let at = BYTE_VALUES; at < tables.length; at++) {
    const before = tables[at - BYTE_VALUES]!;
    tables[at] = (before >>> 8) ^ tables[before & 0xff]!;
  }
  return tables;
}
