import { expect, test } from 'vitest';
import {
  formatIncrementalHeader,
  INCREMENTAL_PREFIX,
  incrementalPath,
  parseIncrementalHeader,
  plainPath,
} from '../../../src/postgres/incremental-file.ts';

const LIMITS = { blockBytes: 8192, blocksPerFile: 131_072 };

test.each([
  ['base/5/1259', 'base/5/INCREMENTAL.1259'],
  ['base/5/1259.3', 'base/5/INCREMENTAL.1259.3'],
  ['global/1262', 'global/INCREMENTAL.1262'],
  ['pg_tblspc/16384/PG_15_202209061/5/2619', 'pg_tblspc/16384/PG_15_202209061/5/INCREMENTAL.2619'],
])('the changed blocks of %s are held in %s', (plain, incremental) => {
  expect(incrementalPath(plain)).toBe(incremental);
  expect(plainPath(incremental)).toBe(plain);
  expect(incremental).toContain(INCREMENTAL_PREFIX);
});

test.each([
  'base/5/1259',
  'INCREMENTAL.conf',
  'INCREMENTAL.1259',
  'base/INCREMENTAL.5/1259',
  'base/5/INCREMENTAL.1259_vm',
  'base/5/INCREMENTAL.1259_fsm.1',
  'base/5/INCREMENTAL.1259_init',
  'base/5/INCREMENTAL.INCREMENTAL.1259',
  'base/5/INCREMENTAL.PG_VERSION',
  'base/5/INCREMENTAL.',
  'base/5/incremental.1259',
  'pg_xact/INCREMENTAL.0000',
])('%s holds no changed blocks', (path) => {
  expect(plainPath(path)).toBeUndefined();
});

/** By hand, from the source of PostgreSQL: three blocks of 8 kB in a file of 200 blocks at least. */
function good(): Buffer {
  const bytes = Buffer.alloc(8192);
  for (const [index, value] of [0xd3ae1f0d, 3, 200, 0, 7, 131_071].entries()) bytes.writeUInt32LE(value, index * 4);
  return bytes;
}

test('the header is what PostgreSQL writes', () => {
  expect(formatIncrementalHeader(Uint32Array.of(0, 7, 131_071), 200, 8192)).toEqual(good());
});

test('an unchanged file is twelve bytes long', () => {
  const bytes = formatIncrementalHeader(new Uint32Array(), 200, 8192);
  expect(bytes.toString('hex')).toBe('0d1faed300000000c8000000');
  expect(parseIncrementalHeader(bytes, LIMITS)).toEqual({
    blocks: new Uint32Array(),
    truncationBlocks: 200,
    headerBytes: 12,
  });
});

test.each([
  [1, 8192],
  [2045, 8192],
  [2046, 2 * 8192],
  [131_072, 65 * 8192],
])('with %i blocks of data it has %i bytes, and reads back', (count, headerBytes) => {
  const blocks = Uint32Array.from({ length: count }, (_, index) => index);
  const bytes = formatIncrementalHeader(blocks, 131_072, 8192);
  expect(bytes).toHaveLength(headerBytes);
  expect(parseIncrementalHeader(bytes, LIMITS)).toEqual({ blocks, truncationBlocks: 131_072, headerBytes });
});

test.each([
  [0, 12],
  [11, 12],
  [12, 24],
  [23, 24],
])('of %i bytes it says that it takes %i', (length, needs) => {
  expect(parseIncrementalHeader(good().subarray(0, length), LIMITS)).toEqual({ needs });
});

test('the zeros behind the block numbers need not be there', () => {
  const header = { blocks: Uint32Array.of(0, 7, 131_071), truncationBlocks: 200, headerBytes: 8192 };
  expect(parseIncrementalHeader(good().subarray(0, 24), LIMITS)).toEqual(header);
  // At an odd place in a larger buffer, where words do not lie on their boundaries.
  expect(parseIncrementalHeader(Buffer.concat([Buffer.alloc(3), good()]).subarray(3), LIMITS)).toEqual(header);
});

test.each<[string, (bytes: Buffer) => void, string]>([
  ['another magic', (bytes) => bytes.writeUInt32LE(0xd3ae1f0e, 0), 'it begins with 0xd3ae1f0e'],
  ['the other byte order', (bytes) => bytes.writeUInt32BE(0xd3ae1f0d, 0), 'it begins with 0x0d1faed3'],
  ['zeros', (bytes) => bytes.fill(0), 'it begins with 0x00000000'],
  [
    'more blocks than a file has',
    (bytes) => bytes.writeUInt32LE(131_073, 4),
    'it counts 131073 blocks, and a file has at most 131072',
  ],
  [
    'a length that no file has',
    (bytes) => bytes.writeUInt32LE(131_073, 8),
    'it gives a length of 131073 blocks, and a file has at most 131072',
  ],
  [
    'a block behind the end of any file',
    (bytes) => bytes.writeUInt32LE(131_072, 20),
    'it names block 131072, and a file has at most 131072',
  ],
  ['blocks in no order', (bytes) => bytes.writeUInt32LE(8, 12), 'it names block 7 after block 8'],
  ['a block twice', (bytes) => bytes.writeUInt32LE(0, 16), 'it names block 0 after block 0'],
])('%s is refused', (_, mutilate, detail) => {
  const bytes = good();
  mutilate(bytes);
  expect(() => parseIncrementalHeader(bytes, LIMITS)).toThrow(
    expect.objectContaining({ code: 'bad-format', message: 'could not read an incremental file', detail }),
  );
});
