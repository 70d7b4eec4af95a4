import { expect, it, test } from 'vitest';
import { formatTimeline, parseTimelineHex, parseTimelineText, timelineId } from '../../../src/postgres/timeline.ts';

test.each([
  ['00000001', 1],
  ['0000000A', 10],
  ['FFFFFFFF', 0xffffffff],
])('%s is read and written as in a WAL name', (text, value) => {
  expect(parseTimelineHex(text)).toBe(value);
  expect(formatTimeline(timelineId(value))).toBe(text);
});

test.each(['', '1', '00000000', '0000000a', '000000001', '0000000G', '+0000001'])(
  '%j is no timeline of a name',
  (text) => {
    expect(parseTimelineHex(text)).toBeUndefined();
  },
);

test.each([
  ['2', 2],
  ['10', 10],
  ['0x10', 16],
  ['4294967295', 0xffffffff],
])('%s is read as people write it', (text, value) => {
  expect(parseTimelineText(text)).toBe(value);
});

test.each(['', '0', '-1', '1.5', '1e3', 'latest', '4294967296', '0x', ' 1'])(
  '%j is no timeline of a setting',
  (text) => {
    expect(parseTimelineText(text)).toBeUndefined();
  },
);

it('refuses to be made of what is none', () => {
  for (const n of [0, -1, 1.5, 2 ** 32, Number.NaN]) expect(() => timelineId(n)).toThrow(RangeError);
});
