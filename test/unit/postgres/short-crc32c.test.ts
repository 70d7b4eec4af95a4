import { crc32c } from '@node-rs/crc32';
import { expect, test } from 'vitest';
import { crc32cOfWords } from '../../../src/postgres/short-crc32c.ts';
import { SeededRandom } from '../../support/seeded-random.ts';

const random = new SeededRandom(20_261_128);

test('the check value of the polynomial', () => {
  const text = Buffer.alloc(12);
  text.write('123456789');
  expect(crc32cOfWords(wordsOf(text), 0, 9, 0)).toBe(0xe3069283);
});

test('agrees with the library for each length, wherever it begins, and goes on from a value before', () => {
  for (let bytes = 0; bytes <= 600; bytes++) {
    const from = random.below(9);
    const all = Buffer.alloc(8 * 4 + 608);
    for (let at = 0; at < all.length; at++) all[at] = random.below(256);
    const before = random.below(2 ** 32);
    expect(crc32cOfWords(wordsOf(all), from, bytes, before)).toBe(
      crc32c(all.subarray(from * 4, from * 4 + bytes), before),
    );
  }
});

function wordsOf(buffer: Buffer): Uint32Array {
  return new Uint32Array(new Uint8Array(buffer).buffer);
}
