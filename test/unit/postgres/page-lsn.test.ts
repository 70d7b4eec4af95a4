import { expect, test } from 'vitest';
import { parseLsn, type Lsn } from '../../../src/postgres/lsn.ts';
import { pagesSince } from '../../../src/postgres/page-lsn.ts';

const PAGE_BYTES = 8192;
const SINCE = parseLsn('2/80000028') as Lsn;

/** A page with this LSN, not new. */
function page(position: string, upper = PAGE_BYTES): Buffer {
  const bytes = Buffer.alloc(PAGE_BYTES, 0x11);
  const value = parseLsn(position) as Lsn;
  bytes.writeUInt32LE(Number(value >> 32n), 0);
  bytes.writeUInt32LE(Number(value & 0xffff_ffffn), 4);
  bytes.writeUInt16LE(upper, 14);
  return bytes;
}

test.each<[string, Buffer]>([
  ['with the very LSN', page('2/80000028')],
  ['with one of the same upper half', page('2/FFFFFFFF')],
  ['with one of a greater upper half and a lesser lower one', page('3/0')],
  ['of zeros', Buffer.alloc(PAGE_BYTES)],
  ['that is new but for its LSN', page('1/0', 0)],
])('a page %s has changed', (_, bytes) => {
  expect(pagesSince(bytes, SINCE, PAGE_BYTES)).toEqual([0]);
});

test.each<[string, Buffer]>([
  ['with an LSN just before', page('2/80000027')],
  ['with one of a lesser upper half and a greater lower one', page('1/FFFFFFFF')],
  ['with no LSN', page('0/0')],
])('a page %s has not', (_, bytes) => {
  expect(pagesSince(bytes, SINCE, PAGE_BYTES)).toEqual([]);
});

test('pages are counted from the beginning, half a page at the end is none', () => {
  const [old, changed] = [page('0/1'), page('5/0')];
  const all = Buffer.concat([Buffer.alloc(3), old, changed, old, changed, changed.subarray(0, 4096)]).subarray(3);
  expect(pagesSince(all, SINCE, PAGE_BYTES)).toEqual([1, 3]);
});

test('pages of other sizes are found', () => {
  const small = Buffer.concat([page('0/1').subarray(0, 4096), page('5/0').subarray(0, 4096)]);
  expect(pagesSince(small, SINCE, 4096)).toEqual([1]);
});
