import { describe, expect, it, test } from 'vitest';
import { timelineId } from '../../../src/postgres/timeline.ts';
import { proveSegment } from '../../../src/postgres/segment-proof.ts';
import { parseWalHeader } from '../../../src/postgres/wal-header.ts';
import { segmentNumber } from '../../../src/postgres/wal-name.ts';
import { walkRecords } from '../../../src/postgres/wal-records.ts';
import { SegmentJoins } from '../../../src/repository/verify-joins.ts';
import { VerifyReport } from '../../../src/repository/verify-scope.ts';
import { LONG } from '../../support/effort.ts';
import { fixtureSegments, FIXTURE_SEGMENT_BYTES, WAL_MAJORS } from '../../support/postgres-fixture.ts';
import { SeededRandom } from '../../support/seeded-random.ts';
import { WalBuilder } from '../../support/wal-builder.ts';

const MIB = 1024 * 1024;

/** `undefined`: a segment that is not at hand. */
type Given = { segno: number; bytes: Buffer; timeline?: number };

/** `1: message`, with the segment's number, of all that is wrong with segments of one timeline, told in this order. */
function judged(given: readonly Given[], followed = true): { problems: string[]; records: number; unproven: number } {
  const report = new VerifyReport();
  const joins = new SegmentJoins(report, () => followed);
  for (const { segno, bytes, timeline = 1 } of given) {
    const header = parseWalHeader(bytes);
    if (!header.ok) throw new Error(header.fault.field);
    // As it comes from a thread.
    const proof = structuredClone(proveSegment(bytes, header.header));
    joins.add({ key: String(segno), timeline: timelineId(timeline), segno: BigInt(segno), proof });
  }
  const { records, unproven } = report;
  return { problems: report.problems.map(({ object, message }) => `${object}: ${message}`), records, unproven };
}

const segmentsOf = (wal: WalBuilder, count: number): Given[] =>
  Array.from({ length: count }, (_, index) => ({ segno: 5 + index, bytes: wal.segment(index) }));

describe.each(WAL_MAJORS)('WAL of a real PostgreSQL %i', (major) => {
  const segments = fixtureSegments(major);
  const isLast = (name: string): boolean => name.startsWith('00000002') || name.endsWith('.partial');

  it('is proven whole, over the ends of segments and over a record that a crash cut off', () => {
    for (const overwritten of [false, true]) {
      const whole = segments.filter((one) => one.overwritten === overwritten && !isLast(one.file.name));
      expect(whole.length).toBeGreaterThan(1);
      const given = whole.map(({ file, bytes }) => ({
        segno: Number(segmentNumber(file, FIXTURE_SEGMENT_BYTES)),
        bytes,
      }));
      const { problems, records, unproven } = judged(given);
      expect(problems).toEqual([]);
      const walked = given.map(({ segno, bytes }) =>
        walkRecords(bytes, BigInt(segno * MIB) as never, { verify: 'all' }),
      );
      const begun = walked.reduce((sum, walk) => sum + walk.records, 0);
      // The one that goes on in the next segment is proven too, if it does.
      expect(records).toBe(begun + (overwritten ? 0 : 1));
      expect(unproven).toBeLessThanOrEqual(1);
    }
  });

  it('may end anywhere where it is the end', () => {
    for (const { file, bytes } of segments.filter((one) => isLast(one.file.name))) {
      const segno = Number(segmentNumber(file, FIXTURE_SEGMENT_BYTES));
      expect(judged([{ segno, bytes, timeline: file.timeline }], false).problems).toEqual([]);
    }
  });
});

/** WAL of some segments, and where its records lie. */
function randomWal(
  random: SeededRandom,
  segments: number,
): { wal: WalBuilder; records: [from: number, bytes: number][] } {
  const wal = new WalBuilder({ segments, previous: 0n });
  const records: [number, number][] = [];
  while (wal.at < segments * MIB) {
    const size = random.oneIn(40)
      ? random.between(100_000, 1_500_000)
      : random.between(0, random.oneIn(3) ? 20_000 : 300);
    records.push([wal.record({ data: Buffer.alloc(size, random.below(256)) }), size + 24]);
  }
  return { wal, records };
}

describe('WAL over many segments', () => {
  const seeds = Array.from({ length: LONG ? 300 : 12 }, (_, seed) => seed);

  it.each(seeds)('is proven record by record, and any byte that differs is found (seed %i)', (seed) => {
    const random = new SeededRandom(seed);
    const { wal, records } = randomWal(random, 4);
    const sound = segmentsOf(wal, 4);
    // The last one has no end here.
    const ended = wal.at === 4 * MIB ? records.length : records.length - 1;
    expect(judged(sound)).toEqual({ problems: [], records: ended, unproven: 0 });
    for (let round = 0; round < 6; round += 1) {
      const at = random.pick(records.slice(0, -1))[0] + random.below(24);
      const damaged = sound.map((one) => ({ ...one, bytes: Buffer.from(one.bytes) }));
      const bytes = damaged[Math.floor(at / MIB)]?.bytes;
      bytes?.writeUInt8((bytes[at % MIB] ?? 0) ^ (1 << random.below(8)), at % MIB);
      expect(judged(damaged).problems.length, `byte ${at}`).toBeGreaterThan(0);
    }
  });

  it('finds a flipped bit in any part of a record that fills whole segments', () => {
    const wal = new WalBuilder({ segments: 3, previous: 0n });
    wal.record();
    const long = wal.record({ data: Buffer.alloc(2.5 * MIB, 7) });
    wal.record();
    const sound = segmentsOf(wal, 3);
    expect(judged(sound, false)).toEqual({ problems: [], records: 3, unproven: 0 });
    for (const at of [long + 30, MIB + 30, MIB + 5000, 2 * MIB - 5, 2 * MIB + 60, 2 * MIB + 200_000]) {
      const damaged = sound.map(({ segno, bytes }) => ({ segno, bytes: Buffer.from(bytes) }));
      const segment = damaged[Math.floor(at / MIB)]?.bytes;
      // Not in a page's header.
      const place = (at % MIB) % 8192 < 40 ? (at % MIB) + 40 : at % MIB;
      segment?.writeUInt8((segment[place] ?? 0) ^ 1, place);
      expect(judged(damaged, false).problems, `byte ${at}`).toEqual([
        '5: the record at 0/500040, which ends in the next segment, has a wrong CRC-32C',
      ]);
    }
  });

  test.each([8, 16])('proves a record of whose header only %i bytes lie before the end of the segment', (left) => {
    const wal = new WalBuilder({ segments: 2, previous: 0n });
    while (wal.at < MIB - 8192) wal.fillPage(0);
    wal.fillPage(left);
    wal.record({ data: Buffer.alloc(3000, 5) });
    const sound = segmentsOf(wal, 2);
    expect(judged(sound, false)).toMatchObject({ problems: [], unproven: 0, records: 129 });
    const second = Buffer.from(sound[1]?.bytes ?? '');
    second.writeUInt8(0xff, 40 + 24);
    expect(judged([sound[0] as Given, { segno: 6, bytes: second }], false).problems).toHaveLength(1);
  });

  it('counts what it cannot prove without the segment before, and does not call it wrong', () => {
    const { wal } = randomWal(new SeededRandom(3), 4);
    const [first, , third, fourth] = segmentsOf(wal, 4) as [Given, Given, Given, Given];
    expect(judged([first, third, fourth])).toMatchObject({ problems: [], unproven: 1 });
    expect(judged([{ ...first, timeline: 2 }, third])).toMatchObject({ problems: [], unproven: 1 });
  });
});

describe('a segment that does not follow the one before it', () => {
  /** Two of which the second goes on with a record of the first, and two of which it does not. */
  function pair(crossing: boolean): [Given, Given] {
    const wal = new WalBuilder({ segments: 2, previous: 0n });
    wal.record({ data: Buffer.alloc(100, 1) });
    if (crossing) wal.record({ data: Buffer.alloc(MIB, 2) });
    else wal.switchSegment();
    wal.record({ data: Buffer.alloc(5000, 3) });
    return segmentsOf(wal, 2) as [Given, Given];
  }
  const [long, rest] = pair(true);
  const [switched, next] = pair(false);

  test.each<[string, Given[], string]>([
    [
      'goes on with what none has begun',
      [switched, rest],
      '6: it goes on with a record that the segment before it does not begin',
    ],
    [
      'lacks the rest of a record',
      [long, next],
      '6: the record at 0/5000A8, in the segment before it, does not go on in it',
    ],
    [
      'has the rest of another',
      [long, { segno: 6, bytes: withWord(rest.bytes, 16, 77) }],
      '6: it goes on with 77 bytes of a record, but of the one at 0/5000A8 5608 bytes are left',
    ],
    [
      'is of another history',
      [switched, { segno: 6, bytes: otherHistory() }],
      '6: its first record follows one at 0/5000C0, but the last one in the segment before it begins at 0/5000A8',
    ],
  ])('%s', (_, given, message) => {
    const { problems } = judged(given, false);
    expect(problems[0]?.replace(/ \d+ bytes are left/, ' 5608 bytes are left')).toBe(message);
    expect(problems).toHaveLength(1);
  });

  it('is what begins anew, after pg_resetwal', () => {
    const anew = new WalBuilder({ segno: 6n, previous: 0n });
    anew.record();
    expect(judged([switched, { segno: 6, bytes: anew.segment(0) }], false).problems).toEqual([]);
  });

  function otherHistory(): Buffer {
    const wal = new WalBuilder({ segments: 2, previous: 0n });
    wal.record({ data: Buffer.alloc(124, 1) });
    wal.switchSegment();
    wal.record();
    return wal.segment(1);
  }
});

function withWord(bytes: Buffer, at: number, word: number): Buffer {
  const changed = Buffer.from(bytes);
  changed.writeUInt32LE(word, at);
  return changed;
}

describe('records that end before the segment does', () => {
  function built(spoil: (bytes: Buffer, at: number) => void): Given {
    const wal = new WalBuilder({ previous: 0n });
    let at = 0;
    for (let n = 0; n < 30; n += 1) at = wal.record({ data: Buffer.alloc(1000, n) });
    const bytes = wal.segment(0);
    spoil(bytes, at);
    return { segno: 5, bytes };
  }
  const sound = (): void => undefined;

  test.each<[string, Given, string]>([
    ['zeros', built(sound), 'its records end at 0/508150, and only zeros follow'],
    [
      'a wrong checksum',
      built((bytes, at) => bytes.writeUInt8(99, at + 30)),
      'the record at 0/507D50 has a wrong CRC-32C',
    ],
    ['a wrong link', built((bytes, at) => bytes.writeUInt8(99, at + 8)), 'what follows at 0/507D50 is no valid record'],
  ])('%s: wrong where WAL goes on in the next segment, and an end where it does not', (_, given, message) => {
    expect(judged([given], true).problems.map((one) => one.replace(/0\/[0-9A-F]+/, 'X'))).toEqual([
      `5: ${message.replace(/0\/[0-9A-F]+/, 'X')}`,
    ]);
    expect(judged([given], false).problems).toEqual([]);
  });

  it('are wrong where pages of this place follow', () => {
    const given = built((bytes) => bytes.writeUInt8(99, 2000));
    expect(judged([given], false).problems).toHaveLength(1);
  });

  it('are no end of what a recycled file held before', () => {
    const given = built((bytes, at) => {
      const old = new WalBuilder({ segno: 2n });
      while (old.at < MIB) old.fillPage(0);
      old.segment(0).copy(bytes, at, at);
    });
    expect(judged([given], false).problems).toEqual([]);
  });
});
