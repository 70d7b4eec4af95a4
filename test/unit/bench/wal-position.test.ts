import { expect, test } from 'vitest';
import { walNameOf } from '../../../scripts/bench/archive/wal-position.ts';

test.each([
  ['0/4FFFF98', '000000010000000000000004'],
  ['0/12000028', '000000010000000000000012'],
  ['2/FF000000', '0000000100000002000000FF'],
])('%s lies in %s', (lsn, name) => {
  expect(walNameOf(lsn)).toBe(name);
});
