import { describe, expect, it, test } from 'vitest';
import { lsn } from '../../../src/postgres/lsn.ts';
import { timelineId } from '../../../src/postgres/timeline.ts';
import {
  isSegmentSize,
  nextSegmentName,
  historyName,
  parseWalName,
  segmentName,
  segmentNumber,
  segmentStart,
  segnoBefore,
  segnoOfLsn,
} from '../../../src/postgres/wal-name.ts';

const MIB = 1024 * 1024;

describe('names', () => {
  it('of segments, partials, histories and labels are told apart', () => {
    const numbers = { timeline: 2, log: 0x1a, seg: 0xff };
    expect(parseWalName('000000020000001A000000FF')).toEqual({
      kind: 'segment',
      name: '000000020000001A000000FF',
      ...numbers,
    });
    expect(parseWalName('000000020000001A000000FF.partial')).toEqual({
      kind: 'partial',
      name: '000000020000001A000000FF.partial',
      segment: '000000020000001A000000FF',
      ...numbers,
    });
    expect(parseWalName('00000002.history')).toEqual({ kind: 'history', name: '00000002.history', timeline: 2 });
    expect(parseWalName('000000020000001A000000FF.00000028.backup')).toEqual({
      kind: 'backup-label',
      name: '000000020000001A000000FF.00000028.backup',
      segment: '000000020000001A000000FF',
      offset: 0x28,
      ...numbers,
    });
    expect(historyName(timelineId(10))).toBe('0000000A.history');
  });

  const good = '000000020000001A000000FF';
  test.each<[string, string]>([
    ['nothing', ''],
    ['a digit too few', good.slice(1)],
    ['a digit too many', `${good}0`],
    ['lower case', good.toLowerCase()],
    ['timeline 0', `00000000${good.slice(8)}`],
    ['a history of timeline 0', '00000000.history'],
    ['a letter', good.replace('1A', '1G')],
    ['a directory', `pg_wal/${good}`],
    ['a way out', `../${good}`],
    ['a line break behind it', `${good}\n`],
    ['a zero byte behind it', `${good}\0`],
    ['another suffix', `${good}.gz`],
    ['upper case in the suffix', `${good}.PARTIAL`],
    ['a suffix twice', `${good}.partial.partial`],
    ['a label without its offset', `${good}.backup`],
    ['a label with a short offset', `${good}.0000028.backup`],
    ['a partial history', '00000002.history.partial'],
    ['a recovery name', 'RECOVERYXLOG'],
    ['64 digits', good.repeat(3).slice(0, 64)],
    ['a megabyte', '0'.repeat(MIB)],
  ])('with %s are refused', (_, name) => {
    expect(parseWalName(name)).toBeUndefined();
  });
});

describe('numbers', () => {
  test.each<[string, number, bigint, string]>([
    ['000000010000000000000001', 16 * MIB, 1n, '000000010000000000000002'],
    ['0000000100000000000000FF', 16 * MIB, 255n, '000000010000000100000000'],
    ['000000010000000100000000', 16 * MIB, 256n, '000000010000000100000001'],
    ['000000010000000000000FFF', MIB, 4095n, '000000010000000100000000'],
    ['00000001000000000000003F', 64 * MIB, 63n, '000000010000000100000000'],
    ['000000010000000200000003', 1024 * MIB, 11n, '000000010000000300000000'],
  ])('of %s with segments of %i bytes', (name, bytes, segno, next) => {
    const file = parseWalName(name);
    if (file?.kind !== 'segment') throw new Error('not a segment');
    expect(segmentNumber(file, bytes)).toBe(segno);
    expect(segmentName(file.timeline, segno, bytes)).toBe(name);
    expect(nextSegmentName(file, bytes)).toBe(next);
    expect(segmentStart(segno, bytes)).toBe(segno * BigInt(bytes));
  });

  it('are missing where the last digits are out of range for the size', () => {
    const file = { timeline: timelineId(1), log: 0, seg: 0x100 };
    expect(segmentNumber(file, 16 * MIB)).toBeUndefined();
    expect(nextSegmentName(file, 16 * MIB)).toBeUndefined();
    expect(segmentNumber(file, MIB)).toBe(256n);
  });

  it('end where the name has no more digits', () => {
    expect(segmentName(timelineId(1), 0xffff_ffffn * 256n + 255n, 16 * MIB)).toBe('00000001FFFFFFFF000000FF');
    expect(() => segmentName(timelineId(1), 0x1_0000_0000n * 256n, 16 * MIB)).toThrow(RangeError);
  });

  it('tell the segment of a byte, and of the last byte before a position', () => {
    const boundary = lsn(0x3000000n);
    expect(segnoOfLsn(boundary, 16 * MIB)).toBe(3n);
    expect(segnoBefore(boundary, 16 * MIB)).toBe(2n);
    expect(segnoBefore(lsn(boundary + 1n), 16 * MIB)).toBe(3n);
    expect(segnoBefore(lsn(0n), 16 * MIB)).toBe(0n);
  });
});

test.each([
  [MIB, true],
  [16 * MIB, true],
  [1024 * MIB, true],
  [MIB / 2, false],
  [2048 * MIB, false],
  [3 * MIB, false],
  [MIB + 1, false],
  [0, false],
  [-MIB, false],
  [Number.NaN, false],
])('%d as a segment size: %s', (bytes, expected) => {
  expect(isSegmentSize(bytes)).toBe(expected);
});
