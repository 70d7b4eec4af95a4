import { describe, expect, it, test } from 'vitest';
import { formatLsn } from '../../../src/postgres/lsn.ts';
import {
  checkSegment,
  describeFault,
  headerWarnings,
  parseWalHeader,
  type ExpectedSegment,
  type WalHeader,
} from '../../../src/postgres/wal-header.ts';
import { parseWalName, type PartialFile, type SegmentFile } from '../../../src/postgres/wal-name.ts';
import { fixtureSegments, FIXTURE_SEGMENT_BYTES, ALL_MAJORS } from '../../support/postgres-fixture.ts';
import { WalBuilder } from '../../support/wal-builder.ts';

const SYSTEM = 7_000_000_000_000_000_001n;
const MIB = 1024 * 1024;

function named(name: string): SegmentFile | PartialFile {
  const file = parseWalName(name);
  if (file?.kind !== 'segment' && file?.kind !== 'partial') throw new Error(`${name} is no segment`);
  return file;
}

/** Segment 5 of timeline 2, 1 MiB. */
function page(): Buffer {
  const wal = new WalBuilder({ timeline: 2, systemId: SYSTEM });
  wal.record();
  return wal.segment(0);
}

function headerOf(segment: Buffer): WalHeader {
  const parsed = parseWalHeader(segment);
  if (!parsed.ok) throw new Error(describeFault(parsed.fault));
  return parsed.header;
}

describe.each(ALL_MAJORS)('segments of a real PostgreSQL %i', (major) => {
  it('carry its magic and nothing that contradicts their names', () => {
    const segments = fixtureSegments(major);
    expect(segments.length).toBeGreaterThan(0);
    const { systemId } = headerOf(segments[0]?.bytes ?? Buffer.alloc(0));
    for (const { file, bytes } of segments) {
      const header = headerOf(bytes);
      expect(header).toMatchObject({ major, blockBytes: 8192, segmentBytes: MIB });
      expect(headerWarnings(header)).toEqual([]);
      const expected = { systemId, segmentBytes: FIXTURE_SEGMENT_BYTES };
      expect([file.name, checkSegment(file, bytes.length, header, expected)]).toEqual([file.name, []]);
    }
  });
});

describe('a first page', () => {
  it('is read whole', () => {
    const wal = new WalBuilder({ segments: 2, timeline: 3, systemId: SYSTEM, segno: 0x100n });
    wal.record({ data: Buffer.alloc(MIB) });
    const header = headerOf(wal.segment(1));
    expect(header).toEqual({
      magic: 0xd118,
      major: 18,
      info: 0x0003,
      timeline: 3,
      pageAddress: 0x10100000n,
      remainingLength: 24 + MIB - (MIB - 40 - 127 * 24),
      systemId: SYSTEM,
      segmentBytes: MIB,
      blockBytes: 8192,
    });
  });

  test.each<[string, (bytes: Buffer) => void, string]>([
    ['all zeros', (b) => b.fill(0), 'page magic is 0000, expected a WAL page, for example D118'],
    [
      'the other byte order',
      (b) => b.subarray(0, 2).swap16(),
      'byte order is big-endian, expected little-endian (the host that wrote this WAL is of another architecture)',
    ],
    [
      'a short header',
      (b) => b.writeUInt16LE(0x0004, 2),
      'page flags is 0004, expected the long header of the first page of a segment (flag 0002)',
    ],
    ['timeline 0', (b) => b.writeUInt32LE(0, 4), 'header timeline is 0, expected a timeline, 1 or more'],
    [
      'no segment size',
      (b) => b.writeUInt32LE(0, 32),
      'segment size is 0, expected a power of two from 1 MiB to 1 GiB',
    ],
    [
      'an odd segment size',
      (b) => b.writeUInt32LE(3 * MIB, 32),
      'segment size is 3145728, expected a power of two from 1 MiB to 1 GiB',
    ],
    ['no block size', (b) => b.writeUInt32LE(0, 36), 'block size is 0, expected a power of two from 1 to 64 kB'],
    [
      'an odd block size',
      (b) => b.writeUInt32LE(8191, 36),
      'block size is 8191, expected a power of two from 1 to 64 kB',
    ],
  ])('with %s is refused by name', (_, spoil, message) => {
    const bytes = page();
    spoil(bytes);
    const parsed = parseWalHeader(bytes);
    expect(parsed.ok ? 'accepted' : describeFault(parsed.fault)).toBe(message);
  });

  it('that is cut off is refused', () => {
    const parsed = parseWalHeader(page().subarray(0, 39));
    expect(parsed.ok ? 'accepted' : describeFault(parsed.fault)).toBe(
      'file size is 39 bytes, expected a whole WAL segment',
    );
  });

  it('of a major to come is a warning, not a fault', () => {
    const bytes = page();
    bytes.writeUInt16LE(0xd11f, 0);
    const header = headerOf(bytes);
    expect(header.major).toBeUndefined();
    expect(headerWarnings(header)).toEqual(['page magic D11F belongs to no PostgreSQL version known here (13 to 18)']);
    expect(checkSegment(named('000000020000000000000005'), MIB, header)).toEqual([]);
  });
});

describe('a segment', () => {
  const right = { systemId: SYSTEM, segmentBytes: MIB };
  test.each<[string, string, number, ExpectedSegment, string[]]>([
    ['nothing is wrong with', '000000020000000000000005', MIB, right, []],
    ['nothing is wrong with, partial,', '000000020000000000000005.partial', MIB, right, []],
    ['nothing is wrong with, on a newer timeline,', '000000030000000000000005', MIB, right, []],
    [
      'is of another cluster',
      '000000020000000000000005',
      MIB,
      { ...right, systemId: 7n },
      ['system identifier is 7000000000000000001, expected 7'],
    ],
    [
      'has another size than the cluster',
      '000000020000000000000005',
      MIB,
      { ...right, segmentBytes: 16 * MIB },
      ['segment size is 1048576, expected 16777216'],
    ],
    ['was cut off', '000000020000000000000005', MIB - 1, right, ['file size is 1048575 bytes, expected 1048576 bytes']],
    [
      'is of a newer timeline than its name',
      '000000010000000000000005',
      MIB,
      right,
      ['header timeline is 00000002, expected 00000001 or older'],
    ],
    [
      'has another place than its name',
      '000000020000000000000006',
      MIB,
      right,
      ['page address is 0/500000, expected 0/600000'],
    ],
    [
      'has a name that this size does not have',
      '000000020000000000001005',
      MIB,
      right,
      ['segment number is 00001005, expected at most 00000FFF with segments of 1048576 bytes'],
    ],
    [
      'is wrong in everything',
      '000000010000000000000007',
      5,
      { systemId: 1n, segmentBytes: 2 * MIB },
      [
        'system identifier is 7000000000000000001, expected 1',
        'segment size is 1048576, expected 2097152',
        'file size is 5 bytes, expected 1048576 bytes',
        'header timeline is 00000002, expected 00000001 or older',
        'page address is 0/500000, expected 0/700000',
      ],
    ],
  ])('%s', (_, name, bytes, expected, messages) => {
    const header = headerOf(page());
    expect(formatLsn(header.pageAddress)).toBe('0/500000');
    expect(checkSegment(named(name), bytes, header, expected).map(describeFault)).toEqual(messages);
  });
});
