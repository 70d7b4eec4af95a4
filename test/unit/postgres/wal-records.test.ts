import { crc32c } from '@node-rs/crc32';
import { describe, expect, it, test } from 'vitest';
import { lsn, type Lsn } from '../../../src/postgres/lsn.ts';
import { parseWalHeader, type WalHeader } from '../../../src/postgres/wal-header.ts';
import { segmentNumber, segmentStart } from '../../../src/postgres/wal-name.ts';
import {
  commitTimes,
  walkRecords,
  type CommitTimes,
  type RecordWalk,
  type WalRecord,
} from '../../../src/postgres/wal-records.ts';
import { endsTransaction, readTransactionEnd } from '../../../src/postgres/wal-xact.ts';
import {
  ALL_MAJORS,
  fixture,
  fixtureSegments,
  FIXTURE_SEGMENT_BYTES,
  WAL_MAJORS,
  type FixtureSegment,
} from '../../support/postgres-fixture.ts';
import { SeededRandom } from '../../support/seeded-random.ts';
import { WalBuilder } from '../../support/wal-builder.ts';

const PG_EPOCH = 946_684_800_000_000n;

function headerOf(segment: Buffer): WalHeader {
  const parsed = parseWalHeader(segment);
  if (!parsed.ok) throw new Error(`${parsed.fault.field} is ${parsed.fault.found}`);
  return parsed.header;
}

/** Offsets of the records that a walk meets, and how it ends. */
function walkOf(segment: Buffer, start: Lsn): { at: number[]; walk: RecordWalk; endAt: number } {
  const at: number[] = [];
  const walk = walkRecords(segment, start, { onRecord: (record) => at.push(Number(record.lsn - start)) });
  return { at, walk, endAt: Number(walk.endLsn - start) };
}

interface PlacedSegment extends FixtureSegment {
  readonly start: Lsn;
}

function placedSegments(major: number): PlacedSegment[] {
  return fixtureSegments(major).map((segment) => ({
    ...segment,
    start: segmentStart(segmentNumber(segment.file, FIXTURE_SEGMENT_BYTES) ?? 0n, FIXTURE_SEGMENT_BYTES),
  }));
}

/** Those of the recorded transactions alone. */
function recordedSegments(major: number): PlacedSegment[] {
  const isRecorded = ({ file, overwritten }: FixtureSegment): boolean =>
    !overwritten && file.kind === 'segment' && file.timeline === 1;
  return placedSegments(major).filter(isRecorded);
}

describe.each(ALL_MAJORS)('WAL of a real PostgreSQL %i', (major) => {
  const recorded = recordedSegments(major);
  /** What pg_xact_commit_timestamp told, that of subtransactions included. */
  const serverTimes = new Set(
    fixture(major, 'commits.txt')
      .toString()
      .trim()
      .split('\n')
      .map((line) => BigInt(line.split(' ')[1] ?? 0)),
  );
  const [earliest, latest] = [...serverTimes].reduce(
    ([low, high], time) => [time < low ? time : low, time > high ? time : high],
    [1n << 62n, 0n],
  );

  it('has every commit at the time that the server itself tells', () => {
    const found = new Set<bigint>();
    for (const { bytes, start } of recorded) {
      walkRecords(bytes, start, {
        onRecord: (record) => {
          const ended = endsTransaction(record.rmgr, record.info) ? readTransactionEnd(record.bytes()) : undefined;
          if (ended?.outcome === 'commit' && ended.unixMicros >= earliest) found.add(ended.unixMicros);
        },
      });
    }
    expect(serverTimes.size).toBeGreaterThanOrEqual(4);
    expect(found).toEqual(serverTimes);
  });

  it('has the latest of them in its summary', () => {
    const summaries = recorded.map(({ bytes, start }) => commitTimes(bytes, headerOf(bytes), start));
    expect(summaries.at(-1)?.lastCommit).toBe(latest);
    expect(summaries.every(({ firstCommit, lastCommit }) => (firstCommit ?? 1n) <= (lastCommit ?? 0n))).toBe(true);
  });

  it('is walked to the same end with every checksum proven as with only the last', () => {
    for (const { bytes, start, file } of placedSegments(major)) {
      const quick = walkRecords(bytes, start);
      expect([file.name, walkRecords(bytes, start, { verify: 'all' })]).toEqual([file.name, quick]);
      expect(quick.records).toBeGreaterThan(0);
    }
  });
});

describe.each(WAL_MAJORS)('more WAL of a real PostgreSQL %i', (major) => {
  const segments = placedSegments(major);

  it('has all that was rolled back', () => {
    // Eight by ROLLBACK, four by ROLLBACK PREPARED, eight to a savepoint.
    const aborts = recordedSegments(major).map(({ bytes, start }) => commitTimes(bytes, headerOf(bytes), start).aborts);
    expect(aborts.reduce((sum, count) => sum + count, 0)).toBe(20);
  });

  it('ends by a switch, across the end, or in zeros, as each file was made', () => {
    const ends = segments.map(({ bytes, start }) => walkRecords(bytes, start).end);
    expect(ends).toEqual(['crosses-end', 'switch', 'zeros', 'switch', 'crosses-end', 'switch']);
  });

  it('goes on behind a record that a crash cut off', () => {
    const [before, after] = segments.filter(({ overwritten }) => overwritten);
    if (before === undefined || after === undefined) throw new Error('no fixture');
    expect(after.bytes.readUInt16LE(2) & 0x0008).toBe(0x0008);
    const records: WalRecord[] = [];
    walkRecords(after.bytes, after.start, { onRecord: (record) => records.push(record) });
    expect(records[0]).toMatchObject({ rmgr: 0, info: 0xd0, lsn: after.start + 40n });
    // XLOG_OVERWRITE_CONTRECORD names the record that is lost: the one that the walk of the segment before ended at.
    expect(records[0]?.bytes().readBigUInt64LE(26)).toBe(walkRecords(before.bytes, before.start).endLsn);
  });
});

describe.each(WAL_MAJORS)('damaged WAL of a real PostgreSQL %i', (major) => {
  it('is summed up as by a walk that looks at each record', () => {
    const random = new SeededRandom(major);
    let cutShort = 0;
    for (const { bytes, start, file } of placedSegments(major)) {
      const header = headerOf(bytes);
      const whole = commitTimes(bytes, header, start);
      for (let round = 0; round < 60; round++) {
        const damaged = Buffer.from(bytes);
        const used = Number(whole.endLsn - start);
        for (let bits = random.between(1, 3); bits > 0; bits--) {
          const at = random.between(40, used - 1);
          damaged[at] = damaged.readUInt8(at) ^ (1 << random.below(8));
        }
        const summary = commitTimes(damaged, header, start);
        expect([file.name, round, summary]).toEqual([file.name, round, slowly(damaged, start)]);
        if (summary.records < whole.records) cutShort++;
      }
    }
    expect(cutShort).toBeGreaterThan(50);
  });
});

/** As `commitTimes`, record by record. */
function slowly(segment: Buffer, start: Lsn): CommitTimes {
  const times: bigint[] = [];
  let aborts = 0;
  let garbageAt: Lsn | undefined;
  let kept: WalRecord[] = [];
  const walk = walkRecords(segment, start, {
    onRecord: (record) => {
      if (garbageAt !== undefined) return;
      if (endsTransaction(record.rmgr, record.info)) {
        const bytes = record.bytes();
        const sum = crc32c(bytes.subarray(0, 20), crc32c(bytes.subarray(24)));
        if (sum !== bytes.readUInt32LE(20)) {
          garbageAt = record.lsn;
          return;
        }
        const ended = readTransactionEnd(bytes);
        if (ended !== undefined) times.push(ended.unixMicros);
        if (ended?.outcome === 'abort') aborts++;
      }
      kept.push(record);
    },
  });
  const sorted = [...times].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const sums = { firstCommit: sorted[0], lastCommit: sorted.at(-1), commits: times.length - aborts, aborts };
  if (garbageAt === undefined) return { ...walk, ...sums };
  // Before a commit that is not believed the walk goes back to the last record that is whole.
  let endLsn: Lsn = garbageAt;
  const isWhole = (record: WalRecord): boolean => {
    const bytes = record.bytes();
    return crc32c(bytes.subarray(0, 20), crc32c(bytes.subarray(24))) === bytes.readUInt32LE(20);
  };
  while (kept.length > 0 && !isWhole(kept.at(-1) as WalRecord)) {
    endLsn = (kept.at(-1) as WalRecord).lsn;
    kept = kept.slice(0, -1);
  }
  const end = 'garbage';
  const range = { firstRecordLsn: kept[0]?.lsn, lastRecordLsn: kept.at(-1)?.lsn };
  return { records: kept.length, ...range, endLsn, end, ...sums };
}

describe('records over pages and segments', () => {
  it.each([8, 16, 24, 32])('finds a record of which only %i bytes fit on the page', (left) => {
    const wal = new WalBuilder();
    wal.fillPage(left);
    const at = wal.transactionEnd(0, 1234n);
    const next = wal.record();
    wal.switchSegment();
    const segment = wal.segment(0);
    expect(walkOf(segment, wal.start).at.slice(0, 3)).toEqual([40, at, next]);
    expect(commitTimes(segment, headerOf(segment), wal.start)).toMatchObject({
      commits: 1,
      firstCommit: PG_EPOCH + 1234n,
    });
  });

  it('finds the record behind one that ends exactly where the page does', () => {
    const wal = new WalBuilder();
    wal.fillPage(0);
    const at = wal.record();
    expect(at).toBe(8192 + 24);
    expect(walkOf(wal.segment(0), wal.start)).toMatchObject({ at: [40, at], walk: { end: 'zeros', records: 2 } });
  });

  it('finds the record behind one of several pages that ends exactly where a page does', () => {
    const wal = new WalBuilder();
    wal.record({ data: Buffer.alloc(8192 - 40 + 8192 - 24 - 24) });
    const at = wal.record();
    expect(at).toBe(2 * 8192 + 24);
    expect(walkOf(wal.segment(0), wal.start)).toMatchObject({ at: [40, at], walk: { end: 'zeros', records: 2 } });
  });

  it.each([1, 8, 8144, 8145, 8151, 8152, 8153, 8160, 16280, 16281])(
    'finds the first record behind %i bytes of one from the segment before',
    (rest) => {
      const wal = new WalBuilder({ segments: 2 });
      wal.record({ data: Buffer.alloc(1024 * 1024 - 40 - 127 * 24 - 24 + rest) });
      const at = [wal.record(), wal.record()].map((offset) => offset - 1024 * 1024);
      const segment = wal.segment(1);
      expect(segment.readUInt32LE(16)).toBe(rest);
      expect(walkOf(segment, lsn(wal.start + 1024n * 1024n)).at).toEqual(at);
    },
  );

  it('follows a record over many pages', () => {
    const wal = new WalBuilder();
    const long = wal.record({ data: Buffer.alloc(50_000, 7) });
    const next = wal.record();
    expect(walkOf(wal.segment(0), wal.start)).toMatchObject({ at: [long, next], walk: { records: 2 } });
  });

  it('gives a long record whole, without the page headers in it', () => {
    const wal = new WalBuilder();
    const data = Buffer.from(Array.from({ length: 30_000 }, (_, i) => i % 251));
    wal.record({ data });
    const bytes: Buffer[] = [];
    walkRecords(wal.segment(0), wal.start, { onRecord: (record) => bytes.push(record.bytes()) });
    expect(bytes[0]?.subarray(24).equals(data)).toBe(true);
  });

  it('tells a record that goes on in the next segment, and begins behind it there', () => {
    const wal = new WalBuilder({ segments: 2 });
    const first = wal.record();
    wal.record({ data: Buffer.alloc(1024 * 1024) });
    const behind = wal.record();
    expect(walkOf(wal.segment(0), wal.start)).toMatchObject({ at: [first], endAt: 64, walk: { end: 'crosses-end' } });
    const second = lsn(wal.start + 1024n * 1024n);
    expect(walkOf(wal.segment(1), second)).toMatchObject({ at: [behind - 1024 * 1024], walk: { end: 'zeros' } });
  });

  it('finds no record in a segment that one longer record fills', () => {
    const wal = new WalBuilder({ segments: 3 });
    wal.record({ data: Buffer.alloc(2.5 * 1024 * 1024) });
    const middle = lsn(wal.start + 1024n * 1024n);
    expect(walkOf(wal.segment(1), middle)).toMatchObject({
      at: [],
      endAt: 1024 * 1024,
      walk: { end: 'crosses-end', records: 0, firstRecordLsn: undefined, lastRecordLsn: undefined },
    });
  });

  it('ends full where the last record ends with the segment', () => {
    const wal = new WalBuilder();
    while (wal.at < 1024 * 1024) wal.fillPage(0);
    expect(walkOf(wal.segment(0), wal.start)).toMatchObject({
      endAt: 1024 * 1024,
      walk: { end: 'full', records: 128 },
    });
  });

  it('ends behind a switch, whatever the empty pages say', () => {
    const wal = new WalBuilder();
    wal.record();
    const at = wal.switchSegment();
    expect(walkOf(wal.segment(0), wal.start)).toMatchObject({ at: [40, at], endAt: at + 24, walk: { end: 'switch' } });
  });

  it('skips a record that was cut off in the middle of a segment and overwritten', () => {
    const wal = new WalBuilder();
    wal.record();
    const { lost, page } = wal.overwrittenRecord(20_000);
    const next = wal.record();
    const { at } = walkOf(wal.segment(0), wal.start);
    expect(at).toEqual([40, page + 24, next]);
    expect(at).not.toContain(lost);
  });

  it('walks a segment that lies anywhere in memory', () => {
    const wal = new WalBuilder();
    wal.record({ data: Buffer.alloc(9000) });
    wal.transactionEnd(0, 5n);
    const shifted = Buffer.alloc(1024 * 1024 + 3).subarray(3);
    wal.segment(0).copy(shifted);
    expect(walkRecords(shifted, wal.start)).toEqual(walkRecords(wal.segment(0), wal.start));
  });

  it('walks other page and segment sizes', () => {
    const wal = new WalBuilder({ segmentBytes: 2 * 1024 * 1024, blockBytes: 32768 });
    const at = [wal.record({ data: Buffer.alloc(40_000) }), wal.record(), wal.switchSegment()];
    expect(walkOf(wal.segment(0), wal.start).at).toEqual(at);
  });
});

describe('times of transactions', () => {
  const origin = Buffer.from([253, 1, 0]);
  const toplevel = Buffer.from([252, 1, 0, 0, 0]);
  test.each([
    ['a commit', 0x00, 8, undefined, { commits: 1, aborts: 0 }],
    ['a commit with more in it', 0x80, 200, undefined, { commits: 1, aborts: 0 }],
    ['a commit with long main data', 0x80, 4000, undefined, { commits: 1, aborts: 0 }],
    ['a commit with an origin', 0x80, 40, origin, { commits: 1, aborts: 0 }],
    [
      'a commit with origin and top-level transaction',
      0x80,
      40,
      Buffer.concat([origin, toplevel]),
      { commits: 1, aborts: 0 },
    ],
    ['an abort', 0x20, 8, undefined, { commits: 0, aborts: 1 }],
    ['COMMIT PREPARED', 0x30, 16, undefined, { commits: 1, aborts: 0 }],
    ['ROLLBACK PREPARED', 0x40, 16, undefined, { commits: 0, aborts: 1 }],
  ])('are read from %s', (_, info, mainBytes, before, counts) => {
    const wal = new WalBuilder();
    wal.transactionEnd(info, 777n, mainBytes, before);
    const segment = wal.segment(0);
    expect(commitTimes(segment, headerOf(segment), wal.start)).toMatchObject({
      ...counts,
      firstCommit: PG_EPOCH + 777n,
      lastCommit: PG_EPOCH + 777n,
    });
  });

  test.each([
    ['PREPARE TRANSACTION', 0x10],
    ['an assignment', 0x50],
    ['invalidations', 0x60],
  ])('are not read from %s', (_, info) => {
    const wal = new WalBuilder();
    wal.transactionEnd(info, 777n);
    const segment = wal.segment(0);
    expect(commitTimes(segment, headerOf(segment), wal.start)).toMatchObject({ commits: 0, firstCommit: undefined });
  });

  it('are the earliest and the latest, in whatever order they were written', () => {
    const wal = new WalBuilder();
    for (const micros of [50n, 10n, 90n, 60n]) wal.transactionEnd(0, micros);
    const segment = wal.segment(0);
    expect(commitTimes(segment, headerOf(segment), wal.start)).toMatchObject({
      firstCommit: PG_EPOCH + 10n,
      lastCommit: PG_EPOCH + 90n,
      commits: 4,
    });
  });
});

describe('what is no valid record ends the walk before it', () => {
  /** Four records; the third, a commit, is the one that is spoilt. */
  function build(): { wal: WalBuilder; at: number[] } {
    const wal = new WalBuilder();
    const at = [wal.record({ data: Buffer.alloc(100) }), wal.record({ data: Buffer.alloc(9000, 1) })];
    at.push(wal.transactionEnd(0, 42n), wal.record({ data: Buffer.alloc(20_000, 2) }));
    return { wal, at };
  }
  const commit = (at: number[]): number => at[2] ?? 0;
  const lastPage = (at: number[]): number => Math.ceil((at[3] ?? 0) / 8192) * 8192;

  test.each<[string, (segment: Buffer, at: number[]) => void, number]>([
    ['a length of zero', (s, at) => s.writeUInt32LE(0, commit(at)), 2],
    ['a length below a header', (s, at) => s.writeUInt32LE(23, commit(at)), 2],
    ['an absurd length', (s, at) => s.writeUInt32LE(0xffffffff, commit(at)), 2],
    ['a length that reaches beyond the file', (s, at) => s.writeUInt32LE(900_000, commit(at)), 2],
    ['a wrong link to the record before', (s, at) => s.writeUInt32LE(40, commit(at) + 8), 2],
    ['a link into another log', (s, at) => s.writeUInt32LE(1, commit(at) + 12), 2],
    ['an impossible resource manager', (s, at) => s.writeUInt8(99, commit(at) + 17), 2],
    ['a flipped bit in a commit', (s, at) => s.writeUInt8(0xff, commit(at) + 30), 2],
    ['a flipped bit in the last record', (s, at) => s.writeUInt8(0xff, (at[3] ?? 0) + 500), 3],
    ['another magic on a page', (s, at) => s.writeUInt16LE(0xd106, lastPage(at)), 3],
    ['unknown flags on a page', (s, at) => s.writeUInt16LE(0x0101, lastPage(at) + 2), 3],
    ['an older timeline on a page', (s, at) => s.writeUInt32LE(0, lastPage(at) + 4), 3],
    ['the address of a recycled page', (s, at) => s.writeUInt32LE(0, lastPage(at) + 8), 3],
    ['a page that continues another length', (s, at) => s.writeUInt32LE(1, lastPage(at) + 16), 3],
    ['a page that continues nothing', (s, at) => s.writeUInt16LE(0, lastPage(at) + 2), 3],
    ['zeros from a page on', (s, at) => s.fill(0, lastPage(at)), 3],
    ['old bytes from a page on', (s, at) => s.fill(0xa5, lastPage(at)), 3],
    ['a file that was cut off', () => {}, 4],
  ])('%s', (_, spoil, records) => {
    const { wal, at } = build();
    const segment = wal.segment(0);
    spoil(segment, at);
    const quick = commitTimes(segment, headerOf(segment), wal.start);
    const expected = records < 4 ? { records, endLsn: lsn(wal.start + BigInt(at[records] ?? 0)) } : { records };
    expect(quick).toMatchObject({ ...expected, commits: records > 2 ? 1 : 0 });
    expect(walkRecords(segment, wal.start, { verify: 'all' })).toMatchObject(expected);
  });

  it('a wrong byte in the middle is seen where every checksum is asked for', () => {
    const { wal, at } = build();
    const segment = wal.segment(0);
    segment.writeUInt8(0xff, (at[1] ?? 0) + 60);
    expect(walkRecords(segment, wal.start).records).toBe(4);
    expect(walkRecords(segment, wal.start, { verify: 'all' })).toMatchObject({ records: 1, end: 'garbage' });
  });

  it('a wrong link counts even where no checksum is looked at', () => {
    const { wal, at } = build();
    const segment = wal.segment(0);
    segment.writeUInt32LE(segment.readUInt32LE((at[1] ?? 0) + 8) + 8, (at[1] ?? 0) + 8);
    expect(walkRecords(segment, wal.start)).toMatchObject({ records: 1, end: 'garbage' });
  });

  it('a segment of another place has no records', () => {
    const { wal } = build();
    const segment = wal.segment(0);
    expect(walkRecords(segment, lsn(0n))).toMatchObject({ records: 0, end: 'garbage', endLsn: 0n });
    expect(commitTimes(segment, headerOf(segment), lsn(0n))).toMatchObject({ records: 0, firstCommit: undefined });
  });

  it('a page whose continuation is announced but never comes has none either', () => {
    const wal = new WalBuilder({ segments: 2 });
    wal.record({ data: Buffer.alloc(1.5 * 1024 * 1024) });
    const segment = wal.segment(1);
    segment.writeUInt32LE(77, 8192 + 16);
    expect(walkRecords(segment, lsn(wal.start + 1024n * 1024n))).toMatchObject({ records: 0, end: 'garbage' });
  });
});

describe('a walk over anything', () => {
  /** xorshift32: the same bytes in each run. */
  function* numbers(seed: number): Generator<number, never> {
    for (let x = seed; ;) {
      x ^= x << 13;
      x ^= x >>> 17;
      x ^= x << 5;
      yield x >>> 0;
    }
  }

  it('neither throws nor leaves the segment, whatever bytes are changed', () => {
    const { bytes, file } = fixtureSegments(15)[1] ?? { bytes: Buffer.alloc(0), file: undefined };
    const start = segmentStart(
      segmentNumber(file ?? { log: 0, seg: 0 }, FIXTURE_SEGMENT_BYTES) ?? 0n,
      FIXTURE_SEGMENT_BYTES,
    );
    const random = numbers(20261122);
    const used = Number(walkRecords(bytes, start).endLsn - start);
    for (let round = 0; round < 300; round++) {
      const segment = Buffer.from(bytes);
      for (let i = 0; i <= round % 5; i++) segment.writeUInt8(random.next().value & 0xff, random.next().value % used);
      const cut = segment.subarray(0, round % 10 === 0 ? random.next().value % segment.length : segment.length);
      const walk = walkRecords(cut, start, { verify: round % 2 === 0 ? 'all' : 'last' });
      expect(walk.endLsn).toBeGreaterThanOrEqual(start);
      expect(Number(walk.endLsn - start)).toBeLessThanOrEqual(segment.length);
      const header = parseWalHeader(cut);
      if (header.ok) commitTimes(cut, header.header, start);
    }
  });
});
