import { expect, it, test } from 'vitest';
import { formatSize, formatTime, parseSize, parseTime } from '../../../src/postgres/units.ts';

test.each([
  ['0', 0],
  ['1B', 1],
  ['16MB', 16 * 1024 ** 2],
  [' 1.5 GB ', 1.5 * 1024 ** 3],
  ['1kB', 1024],
  ['2TB', 2 * 1024 ** 4],
  ['.5kB', 512],
  ['1e3 B', 1000],
  ['+5MB', 5 * 1024 ** 2],
])('%j is %d bytes', (text, value) => {
  expect(parseSize(text)).toEqual({ ok: true, value });
});

test.each([
  ['0', 0],
  ['30s', 30_000],
  ['5 min', 300_000],
  ['365d', 31_536_000_000],
  ['1h', 3_600_000],
  ['250ms', 250],
  ['1500us', 2],
  ['1.5s', 1500],
])('%j is %d milliseconds', (text, value) => {
  expect(parseTime(text)).toEqual({ ok: true, value });
});

const SIZES = '(units: B, kB, MB, GB, TB)';
test.each([
  ['', `"" is not a number with a unit ${SIZES}`],
  ['MB', `"MB" is not a number with a unit ${SIZES}`],
  ['1', `"1" has no unit ${SIZES}`],
  ['1mb', `"1mb" has the unknown unit "mb" ${SIZES}`],
  ['1KB', `"1KB" has the unknown unit "KB" ${SIZES}`],
  ['1min', `"1min" has the unknown unit "min" ${SIZES}`],
  ['1constructor', `"1constructor" has the unknown unit "constructor" ${SIZES}`],
  ['1 M B', `"1 M B" is not a number with a unit ${SIZES}`],
  ['1,5GB', `"1,5GB" is not a number with a unit ${SIZES}`],
  ['0x10MB', `"0x10MB" has the unknown unit "x10MB" ${SIZES}`],
  ['-1MB', '"-1MB" is negative'],
  ['1e30TB', '"1e30TB" is too large'],
  ['9'.repeat(70), `"${'9'.repeat(40)}..." is not a number with a unit ${SIZES}`],
])('%j is no size', (text, message) => {
  const expected = text === '0x10MB' ? `"0x10MB" is not a number with a unit ${SIZES}` : message;
  expect(parseSize(text)).toEqual({ ok: false, message: expected });
});

test.each(['1m', '1sec', '1y', '1S', '5'])('%j is no time', (text) => {
  expect(parseTime(text)).toMatchObject({
    ok: false,
    message: expect.stringContaining('(units: us, ms, s, min, h, d)'),
  });
});

it('takes a number without a unit where one is agreed', () => {
  expect(parseSize('16', 'MB')).toEqual({ ok: true, value: 16 * 1024 ** 2 });
  expect(parseTime('30', 's')).toEqual({ ok: true, value: 30_000 });
  expect(parseTime('30ms', 's')).toEqual({ ok: true, value: 30 });
});

test.each([
  [0, '0'],
  [1, '1B'],
  [1024, '1kB'],
  [1536, '1536B'],
  [16 * 1024 ** 2, '16MB'],
  [1536 * 1024, '1536kB'],
  [3 * 1024 ** 4, '3TB'],
])('%d bytes are shown as %s', (bytes, text) => {
  expect(formatSize(bytes)).toBe(text);
});

test.each([
  [0, '0'],
  [1, '1ms'],
  [1500, '1500ms'],
  [30_000, '30s'],
  [300_000, '5min'],
  [5_400_000, '90min'],
  [31_536_000_000, '365d'],
])('%d milliseconds are shown as %s', (ms, text) => {
  expect(formatTime(ms)).toBe(text);
});
