import { expect, it, test } from 'vitest';
import { formatIso, fromPgMicros, microsFromMs, parseIso, toPgMicros } from '../../../src/postgres/timestamp.ts';

test.each([
  [0n, '2000-01-01T00:00:00.000000Z'],
  [1n, '2000-01-01T00:00:00.000001Z'],
  [-1n, '1999-12-31T23:59:59.999999Z'],
  [848_790_300_123_456n, '2026-11-23T23:05:00.123456Z'],
  [-946_684_800_000_001n, '1969-12-31T23:59:59.999999Z'],
])('%d of PostgreSQL is %s', (pg, iso) => {
  expect(formatIso(fromPgMicros(pg))).toBe(iso);
  expect(toPgMicros(parseIso(iso) ?? 0n)).toBe(pg);
});

test.each([
  ['2026-11-22T17:45:00Z', 1_795_369_500_000_000n],
  ['2026-11-22T17:45:00.5Z', 1_795_369_500_500_000n],
  ['2026-11-22T17:45:00.123456Z', 1_795_369_500_123_456n],
])('%s is read', (text, micros) => {
  expect(parseIso(text)).toBe(micros);
});

test.each([
  '',
  '2026-11-22',
  '2026-11-22T17:45:00',
  '2026-11-22 17:45:00Z',
  '2026-11-22T17:45:00+00:00',
  '2026-11-22T17:45:00.1234567Z',
  '2026-02-30T00:00:00Z',
  '2026-13-01T00:00:00Z',
  '2026-11-22T24:00:01Z',
  '2026-11-22T17:45:00Z\n',
])('%j is not', (text) => {
  expect(parseIso(text)).toBeUndefined();
});

it('has no text for times that only garbage has', () => {
  expect(formatIso(1n << 62n)).toBeUndefined();
  expect(formatIso(-(1n << 62n))).toBeUndefined();
  expect(formatIso((1n << 63n) - 1n)).toBeUndefined();
});

it('counts milliseconds as thousands', () => {
  expect(formatIso(microsFromMs(1_795_369_500_123))).toBe('2026-11-22T17:45:00.123000Z');
});
