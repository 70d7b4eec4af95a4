import { describe, expect, it, test } from 'vitest';
import { lsn } from '../../../src/postgres/lsn.ts';
import { sameRecords } from '../../../src/postgres/wal-compare.ts';
import { segmentNumber, segmentStart } from '../../../src/postgres/wal-name.ts';
import { fixtureSegments, FIXTURE_SEGMENT_BYTES } from '../../support/postgres-fixture.ts';
import { WalBuilder } from '../../support/wal-builder.ts';

/** Three records, then nothing; what a torn fourth left is up to the test. */
function segmentOf(change: (segment: Buffer, end: number, wal: WalBuilder) => void): {
  segment: Buffer;
  wal: WalBuilder;
} {
  const wal = new WalBuilder();
  for (let i = 0; i < 3; i++) wal.record({ data: Buffer.alloc(5000, i + 1) });
  const segment = wal.segment(0);
  change(segment, wal.at, wal);
  return { segment, wal };
}

/** The pages of a segment that lay here before: right magic, older addresses. */
function recycle(segment: Buffer, from: number, address: bigint): void {
  for (let page = Math.ceil(from / 8192) * 8192; page < segment.length; page += 8192) {
    segment.copy(segment, page, 0, 8192);
    segment.writeBigUInt64LE(address + BigInt(page), page + 8);
    segment.fill(0x33, page + 24, page + 8192);
  }
}

describe('segments of one name', () => {
  it('are identical where no byte differs', () => {
    const { segment, wal } = segmentOf(() => {});
    expect(sameRecords(segment, Buffer.from(segment), wal.start)).toEqual({ kind: 'identical' });
  });

  test.each<[string, (segment: Buffer, end: number) => void]>([
    ['zeros and the pages of a recycled file', (s, end) => recycle(s, end, 0n)],
    ['zeros and noise on the last page', (s, end) => s.fill(0x99, end, end + 24)],
    ['zeros and noise from the next page on', (s, end) => s.fill(0x99, Math.ceil(end / 8192) * 8192)],
  ])('have the same records where they end in %s', (_, change) => {
    const { segment: a, wal } = segmentOf(() => {});
    const { segment: b } = segmentOf(change);
    const same = sameRecords(a, b, wal.start);
    expect(same).toMatchObject({ kind: 'same-records', endLsn: lsn(wal.start + BigInt(wal.at)) });
    expect(sameRecords(b, a, wal.start)).toEqual(same);
  });

  it('have the same records where more or less of a torn one arrived', () => {
    const { wal } = segmentOf(() => {});
    wal.record({ data: Buffer.alloc(50_000, 9) });
    const torn = (pages: number): Buffer => wal.segment(0).fill(0, (pages + 1) * 8192);
    expect(sameRecords(torn(3), torn(5), wal.start)).toMatchObject({ kind: 'same-records', firstDifference: 4 * 8192 });
  });

  it('have the same records behind a switch, whatever lies there', () => {
    const wal = new WalBuilder();
    wal.record();
    const end = wal.switchSegment() + 24;
    const b = wal.segment(0);
    b.fill(0, 8192);
    expect(sameRecords(wal.segment(0), b, wal.start)).toEqual({
      kind: 'same-records',
      firstDifference: 8192,
      endLsn: lsn(wal.start + BigInt(end)),
    });
  });

  it('differ where a record does, which is named', () => {
    const { segment: a, wal } = segmentOf(() => {});
    const { segment: b } = segmentOf((s) => s.writeUInt8(0xff, 6000));
    expect(sameRecords(a, b, wal.start)).toEqual({
      kind: 'different',
      firstDifference: 6000,
      recordLsn: lsn(wal.start + 40n + 5024n),
      reason: 'they differ in the record at 0/5013C8',
    });
  });

  it('differ where one has a record more', () => {
    const { segment: a, wal } = segmentOf(() => {});
    wal.record({ data: Buffer.alloc(10) });
    expect(sameRecords(a, wal.segment(0), wal.start)).toMatchObject({ kind: 'different' });
    expect(sameRecords(wal.segment(0), a, wal.start)).toMatchObject({ kind: 'different' });
  });

  it('differ where a record that crosses the end does', () => {
    const wal = new WalBuilder({ segments: 2 });
    wal.record();
    wal.record({ data: Buffer.alloc(1024 * 1024, 5) });
    const b = wal.segment(0);
    b.writeUInt8(0xff, 1024 * 1024 - 1);
    expect(sameRecords(wal.segment(0), b, wal.start)).toMatchObject({
      kind: 'different',
      firstDifference: 1024 * 1024 - 1,
      recordLsn: lsn(wal.start + 64n),
    });
  });

  it('differ in the header before any record', () => {
    const { segment: a, wal } = segmentOf(() => {});
    const { segment: b } = segmentOf((s) => s.writeUInt8(9, 24));
    expect(sameRecords(a, b, wal.start)).toMatchObject({
      kind: 'different',
      firstDifference: 24,
      reason: 'they differ in byte 24',
    });
  });

  it('differ where pages behind the end may be WAL that could not be read', () => {
    const { segment: a, wal } = segmentOf(() => {});
    const { segment: b } = segmentOf((s, end, { start }) => {
      recycle(s, end, 0n);
      s.writeBigUInt64LE(start + 65536n, 65536 + 8);
    });
    expect(sameRecords(a, b, wal.start)).toMatchObject({
      kind: 'different',
      reason: 'the page at byte 65536 may hold WAL that could not be read',
    });
  });

  it('differ where their major is not known', () => {
    const wal = new WalBuilder({ magic: 0xd11f });
    wal.record();
    const b = wal.segment(0);
    b.fill(1, 8192);
    expect(sameRecords(wal.segment(0), b, wal.start)).toMatchObject({ kind: 'different', firstDifference: 8192 });
  });

  it('differ in length', () => {
    const { segment: a, wal } = segmentOf(() => {});
    expect(sameRecords(a, a.subarray(0, 8192), wal.start)).toMatchObject({
      kind: 'different',
      firstDifference: 8192,
      reason: 'they have 1048576 and 8192 bytes',
    });
  });

  it('of a real server differ in what was recycled behind a switch only', () => {
    for (const { file, bytes } of fixtureSegments(18)) {
      const start = segmentStart(segmentNumber(file, FIXTURE_SEGMENT_BYTES) ?? 0n, FIXTURE_SEGMENT_BYTES);
      const b = Buffer.from(bytes);
      b.fill(0x77, b.length - 8192);
      const expected = bytes.readUInt32LE(bytes.length - 8) === 0 ? 'same-records' : 'different';
      expect([file.name, sameRecords(bytes, b, start).kind]).toEqual([file.name, expected]);
    }
  });
});
