import { describe, expect, it, test } from 'vitest';
import { formatTargetTime, hostZone, parseTargetTime, type LocalZone } from '../../../src/postgres/target-time.ts';

const SPRING = Date.UTC(2026, 2, 29, 1);
const AUTUMN = Date.UTC(2026, 9, 25, 1);
/** Central Europe in 2026. */
const berlin: LocalZone = (ms) => (ms >= SPRING && ms < AUTUMN ? 120 : 60);
const kathmandu: LocalZone = () => 345;
const newfoundland: LocalZone = () => -210;

function written(text: string, zone: LocalZone): string {
  const result = parseTargetTime(text, zone);
  return result.ok ? formatTargetTime(result.target) : result.message;
}

test.each<[string, string]>([
  ['2026-11-22 17:45:00+01', '2026-11-22 17:45:00.000000+01:00'],
  ['2026-11-22T17:45:00.5+0130', '2026-11-22 17:45:00.500000+01:30'],
  ['2026-11-22 17:45:00.123456-03:30', '2026-11-22 17:45:00.123456-03:30'],
  ['2026-11-22 17:45Z', '2026-11-22 17:45:00.000000+00:00'],
  ['2026-11-22 17:45:00 UTC', '2026-11-22 17:45:00.000000+00:00'],
  ['2026-11-22 17:45:00 gmt', '2026-11-22 17:45:00.000000+00:00'],
  [' 2026-11-22 17:45:00.1234569Z ', '2026-11-22 17:45:00.123456+00:00'],
  ['2024-02-29 00:00Z', '2024-02-29 00:00:00.000000+00:00'],
])('%j keeps its zone', (text, expected) => {
  expect(written(text, berlin)).toBe(expected);
});

test.each<[string, LocalZone, string]>([
  ['2026-11-22 17:45:00', berlin, '2026-11-22 17:45:00.000000+01:00'],
  ['2026-07-01 12:00:00.25', berlin, '2026-07-01 12:00:00.250000+02:00'],
  ['2026-07-01', berlin, '2026-07-01 00:00:00.000000+02:00'],
  ['2026-03-29 01:59:59', berlin, '2026-03-29 01:59:59.000000+01:00'],
  ['2026-03-29 03:00:00', berlin, '2026-03-29 03:00:00.000000+02:00'],
  ['2026-10-25 01:59:59', berlin, '2026-10-25 01:59:59.000000+02:00'],
  ['2026-10-25 03:00:00', berlin, '2026-10-25 03:00:00.000000+01:00'],
  ['2026-11-22 17:45', kathmandu, '2026-11-22 17:45:00.000000+05:45'],
  ['2026-11-22 17:45', newfoundland, '2026-11-22 17:45:00.000000-03:30'],
])('%j without a zone is local, written with its offset', (text, zone, expected) => {
  expect(written(text, zone)).toBe(expected);
});

describe('a time', () => {
  test.each<[string, string]>([
    ['2026-03-29 02:30:00', '"2026-03-29 02:30:00" does not exist in the local time zone: give its offset from UTC'],
    [
      '2026-10-25 02:30:00',
      '"2026-10-25 02:30:00" happens twice in the local time zone: give its offset from UTC, +02:00 or +01:00',
    ],
    ['yesterday', '"yesterday" is not a time like 2026-11-22 17:45:00+01'],
    ['', '"" is not a time like 2026-11-22 17:45:00+01'],
    ['22.11.2026 17:45', '"22.11.2026 17:45" is not a time like 2026-11-22 17:45:00+01'],
    ['2026-11-22 17:45:00 CET', '"2026-11-22 17:45:00 CET" is not a time like 2026-11-22 17:45:00+01'],
    [
      '2026-11-22 17:45:00 Europe/Berlin',
      '"2026-11-22 17:45:00 Europe/Berlin" is not a time like 2026-11-22 17:45:00+01',
    ],
    ['2026-02-29 00:00:00Z', '"2026-02-29 00:00:00Z" is no time that a calendar has'],
    ['2026-13-01 00:00:00Z', '"2026-13-01 00:00:00Z" is no time that a calendar has'],
    ['2026-00-01 00:00:00Z', '"2026-00-01 00:00:00Z" is no time that a calendar has'],
    ['2026-11-22 24:00:00Z', '"2026-11-22 24:00:00Z" is no time that a calendar has'],
    ['2026-11-22 23:60:00Z', '"2026-11-22 23:60:00Z" is no time that a calendar has'],
    ['2026-11-22 23:59:60Z', '"2026-11-22 23:59:60Z" is no time that a calendar has'],
    ['1999-12-31 23:59:59Z', `"1999-12-31 23:59:59Z" is before 2000-01-01, where PostgreSQL's clock starts`],
    ['2026-11-22 17:45:00+16', '"+16" is no offset from UTC'],
    ['2026-11-22 17:45:00+01:60', '"+01:60" is no offset from UTC'],
  ])('like %j is refused', (text, message) => {
    expect(written(text, berlin)).toBe(message);
  });
});

it('is counted in microseconds since 1970', () => {
  const result = parseTargetTime('2026-11-22 18:45:00.123456+01', berlin);
  expect(result).toEqual({ ok: true, target: { unixMicros: 1_795_369_500_123_456n, offsetMinutes: 60 } });
});

it('takes the offset of this host where the host is asked', () => {
  const ms = Date.UTC(2026, 10, 22);
  expect(hostZone(ms)).toBe(-new Date(ms).getTimezoneOffset());
});
