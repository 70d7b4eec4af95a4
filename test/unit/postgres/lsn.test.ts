import { expect, it, test } from 'vitest';
import { formatLsn, lsn, parseLsn } from '../../../src/postgres/lsn.ts';

test.each([
  ['0/0', 0n],
  ['0/16B3740', 0x16b3740n],
  ['16/B374D848', 0x16_b374_d848n],
  ['FFFFFFFF/FFFFFFFF', 0xffff_ffff_ffff_ffffn],
])('%s is read and written as PostgreSQL does', (text, value) => {
  expect(parseLsn(text)).toBe(value);
  expect(formatLsn(lsn(value))).toBe(text);
});

it('reads lower case and leading zeros too', () => {
  expect(parseLsn('00000016/b374d848')).toBe(0x16_b374_d848n);
});

test.each(['', '/', '0', '0/', '/0', '0/0/0', '0x1/0', '0/G', '123456789/0', '0/123456789', ' 0/0', '0/0\n', '-1/0'])(
  '%j is no LSN',
  (text) => {
    expect(parseLsn(text)).toBeUndefined();
  },
);

it('refuses to be made of what 64 bits cannot hold', () => {
  expect(() => lsn(-1n)).toThrow(RangeError);
  expect(() => lsn(1n << 64n)).toThrow(RangeError);
});
