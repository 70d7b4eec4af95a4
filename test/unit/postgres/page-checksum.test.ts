import { describe, expect, it, test } from 'vitest';
import { checkPages, pageChecksum } from '../../../src/postgres/page-checksum.ts';
import { fixture, WAL_MAJORS } from '../../support/postgres-fixture.ts';
import { patternBytes } from '../../support/bytes.ts';

const PAGE = 8192;

describe.each(WAL_MAJORS)('pages of a real PostgreSQL %i', (major) => {
  const pages = fixture(major, 'heap-pages');

  it('carry the checksums that the server wrote', () => {
    expect(pages.length).toBe(2 * PAGE);
    expect(checkPages(pages, 0, PAGE)).toEqual([]);
    expect(pageChecksum(pages.subarray(0, PAGE), 0)).toBe(pages.readUInt16LE(8));
  });

  it('do not fit another place', () => {
    expect(checkPages(pages, 1, PAGE)).toEqual([0, 1]);
    expect(checkPages(pages.subarray(PAGE), 1, PAGE)).toEqual([]);
  });

  it('do not fit with any one byte changed', () => {
    for (let at = PAGE; at < 2 * PAGE; at += 13) {
      const bad = Buffer.from(pages);
      bad.writeUInt8(bad.readUInt8(at) ^ 0x80, at);
      expect([at, checkPages(bad, 0, PAGE)]).toEqual([at, [1]]);
    }
  });
});

describe('pages', () => {
  /** The algorithm of storage/checksum_impl.h word by word, slowly. */
  function slowly(page: Buffer, block: number): number {
    const copy = Buffer.from(page);
    copy.writeUInt16LE(0, 8);
    const sums = BASE.map((base) => base | 0);
    const mix = (lane: number, value: number): void => {
      const mixed = (sums[lane] ?? 0) ^ value;
      sums[lane] = Math.imul(mixed, 16777619) ^ (mixed >>> 17);
    };
    for (let at = 0; at < copy.length; at += 4) mix((at / 4) % 32, copy.readInt32LE(at));
    for (let round = 0; round < 2; round++) for (let lane = 0; lane < 32; lane++) mix(lane, 0);
    return ((sums.reduce((a, b) => a ^ b, block) >>> 0) % 65535) + 1;
  }

  test.each([1024, 8192, 32768])('of %i bytes have the checksum of the plain algorithm', (bytes) => {
    for (const block of [0, 1, 131072, 4294967295]) {
      const page = patternBytes(bytes, block + bytes);
      expect(pageChecksum(page, block)).toBe(slowly(page, block));
      page.writeUInt16LE(slowly(page, block), 8);
      expect(checkPages(page, block, bytes)).toEqual([]);
    }
  });

  it('of zeros are new and have none, nor have those whose header has not reached the disk', () => {
    const pages = Buffer.alloc(3 * PAGE);
    pages.fill(7, PAGE + 512, 2 * PAGE);
    pages.writeUInt16LE(PAGE, 2 * PAGE + 14);
    expect(checkPages(pages, 0, PAGE)).toEqual([2]);
  });

  it('are left as they were', () => {
    const pages = patternBytes(2 * PAGE);
    const before = Buffer.from(pages);
    checkPages(pages, 0, PAGE);
    expect(pages.equals(before)).toBe(true);
  });

  it('may lie anywhere in memory, and a rest at the end is not one', () => {
    const pages = patternBytes(3 * PAGE);
    const shifted = Buffer.alloc(3 * PAGE + 1).subarray(1);
    pages.copy(shifted);
    expect(checkPages(shifted.subarray(0, 2 * PAGE + 100), 5, PAGE)).toEqual([0, 1]);
    expect(pageChecksum(shifted.subarray(0, PAGE), 5)).toBe(pageChecksum(pages.subarray(0, PAGE), 5));
  });
});

const BASE = [
  0x5b1f36e9, 0xb8525960, 0x02ab50aa, 0x1de66d2a, 0x79ff467a, 0x9bb9f8a3, 0x217e7cd2, 0x83e13d2c, 0xf8d4474f,
  0xe39eb970, 0x42c6ae16, 0x993216fa, 0x7b093b5d, 0x98daff3c, 0xf718902a, 0x0b1c9cdb, 0xe58f764b, 0x187636bc,
  0x5d7b3bb1, 0xe73de7de, 0x92bec979, 0xcca6c0b2, 0x304a0979, 0x85aa43d4, 0x783125bb, 0x6ca8eaa2, 0xe407eac6,
  0x4b5cfc3e, 0x9fbf8c76, 0x15ca20be, 0xf2ca9fd3, 0x959bd756,
];
