import { describe, expect, it, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import {
  IDENTITY_KEY,
  manifestKey,
  commitKey,
  partKey,
  parseBackupId,
  type BackupId,
} from '../../../src/repository/layout.ts';
import { verifyRepository } from '../../../src/repository/verify-repository.ts';
import { VerifyReport } from '../../../src/repository/verify-scope.ts';
import { BACKUP_ID, damageable, historyKey, identityOf, segmentKey, withContent } from '../../support/damageable.ts';
import { repositoryOn } from '../../support/tampered-repository.ts';
import { VersionedMemoryBucket } from '../../support/versioned-memory-store.ts';

const MIB = 1024 * 1024;
const { signal } = new AbortController();
const sound = await damageable();
const id = parseBackupId(BACKUP_ID) as BackupId;
const RECORD = commitKey(id);
const MANIFEST = manifestKey(id);
const PART = partKey(id, 1);
const S5 = segmentKey(1, 5);
const PARTIAL = [...sound.keys()].find((key) => key.includes('.partial.')) ?? '';
const nameOf = (key: string): string => key.slice(key.lastIndexOf('/') + 1, -'.zst'.length);

type Objects = Map<string, Buffer>;

interface Damage {
  what: string;
  damage?: (objects: Objects) => void;
  /** What somebody else does to the bucket afterwards. */
  meddle?: (bucket: VersionedMemoryBucket) => void;
  /** `code object`, sorted: all of it. */
  expected: string[];
  /** The same without contents; absent: nothing. */
  quick?: string[];
}

async function verified(
  { damage, meddle }: Pick<Damage, 'damage' | 'meddle'>,
  slice: VerifyScopeSlice,
): Promise<{ found: string[]; report: VerifyReport }> {
  const objects: Objects = new Map([...sound].map(([key, bytes]) => [key, Buffer.from(bytes)]));
  damage?.(objects);
  const bucket = new VersionedMemoryBucket();
  for (const [key, bytes] of objects) bucket.put(key, bytes);
  meddle?.(bucket);
  const report = new VerifyReport();
  await verifyRepository(repositoryOn(bucket), { signal, clock: systemClock, jobs: 3, slice, report });
  return { found: report.problems.map(({ code, object }) => `${code} ${object}`).sort(), report };
}
type VerifyScopeSlice = { n: number; of: number } | undefined;

const at = (objects: Objects, key: string): Buffer => {
  const bytes = objects.get(key);
  if (bytes === undefined) throw new Error(`there is no ${key}`);
  return bytes;
};
const flip =
  (key: string, where: (bytes: Buffer) => number) =>
  (objects: Objects): void => {
    const bytes = at(objects, key);
    const place = where(bytes);
    bytes.writeUInt8((bytes[place] ?? 0) ^ 4, place);
  };
const remove =
  (...keys: string[]) =>
  (objects: Objects): void => {
    for (const key of keys) if (!objects.delete(key)) throw new Error(`there is no ${key}`);
  };
const replace =
  (key: string, change: (bytes: Buffer, objects: Objects) => Buffer) =>
  (objects: Objects): void => {
    objects.set(key, change(at(objects, key), objects));
  };
const rewrite = (key: string, change: (plain: Buffer) => Buffer) =>
  replace(key, (stored) => withContent(key, stored, change));
const edit = (change: (plain: Buffer) => void) => (plain: Buffer) => {
  change(plain);
  return plain;
};
const middle = (bytes: Buffer): number => bytes.length >> 1;
const missing = (...keys: string[]): string[] => keys.map((key) => `missing-segment ${nameOf(key)}`).sort();
const cutLines = (from: number, to?: number) => (plain: Buffer) =>
  Buffer.from(
    plain
      .toString()
      .split('\n')
      .slice(from, to)
      .map((line) => `${line}\n`)
      .join('')
      .replace(/\n+$/, '\n'),
  );

const TABLE: Damage[] = [
  { what: 'nothing', expected: [] },
  { what: 'a missing segment', damage: remove(S5), expected: missing(S5), quick: missing(S5) },
  {
    what: 'a missing segment that the backup needs',
    damage: remove(segmentKey(1, 3)),
    expected: missing(segmentKey(1, 3)),
    quick: missing(segmentKey(1, 3)),
  },
  {
    what: 'a gap across a switch of timelines',
    damage: remove(segmentKey(1, 6), segmentKey(1, 7), segmentKey(2, 8), segmentKey(2, 9)),
    expected: missing(segmentKey(1, 6), segmentKey(1, 7), segmentKey(2, 8), segmentKey(2, 9)),
    quick: missing(segmentKey(1, 6), segmentKey(1, 7), segmentKey(2, 8), segmentKey(2, 9)),
  },
  {
    what: 'a whole timeline missing between two',
    damage: remove(segmentKey(2, 8), segmentKey(2, 9), segmentKey(2, 10)),
    expected: missing(segmentKey(2, 8), segmentKey(2, 9), segmentKey(2, 10)),
    quick: missing(segmentKey(2, 8), segmentKey(2, 9), segmentKey(2, 10)),
  },
  { what: 'segments missing before the backup', damage: remove(segmentKey(1, 2)), expected: [] },
  { what: 'the newest segment missing', damage: remove(segmentKey(3, 13)), expected: [] },
  { what: 'a missing partial', damage: remove(PARTIAL), expected: [] },
  { what: 'a flipped bit in the body of a segment', damage: flip(S5, middle), expected: [`damaged ${S5}`] },
  { what: 'a flipped bit in the head of a segment', damage: flip(S5, () => 40), expected: [`damaged ${S5}`] },
  { what: 'a segment cut short', damage: replace(S5, (bytes) => bytes.subarray(0, -7)), expected: [`damaged ${S5}`] },
  { what: 'an empty segment', damage: replace(S5, () => Buffer.alloc(0)), expected: [`damaged ${S5}`] },
  { what: 'a flipped bit in a partial', damage: flip(PARTIAL, middle), expected: [`damaged ${PARTIAL}`] },
  {
    what: 'another content in a partial',
    damage: rewrite(
      PARTIAL,
      edit((plain) => plain.writeUInt8(1, MIB - 1)),
    ),
    expected: [`misfit ${PARTIAL}`],
  },
  { what: 'a flipped bit in a part', damage: flip(PART, middle), expected: [`damaged ${PART}`] },
  {
    what: 'a part of another size',
    damage: replace(PART, (bytes) => bytes.subarray(0, -1)),
    expected: [`wrong-size ${PART}`],
    quick: [`wrong-size ${PART}`],
  },
  {
    what: 'a missing part',
    damage: remove(PART),
    expected: [`missing-object ${PART}`],
    quick: [`missing-object ${PART}`],
  },
  {
    what: 'another part under its name',
    damage: replace(PART, (_, objects) => at(objects, partKey(id, 2))),
    expected: [`wrong-size ${PART}`],
    quick: [`wrong-size ${PART}`],
  },
  { what: 'a flipped bit in the manifest', damage: flip(MANIFEST, middle), expected: [`damaged ${MANIFEST}`] },
  {
    what: 'a missing manifest',
    damage: remove(MANIFEST),
    expected: [`missing-object ${MANIFEST}`],
    quick: [`missing-object ${MANIFEST}`],
  },
  {
    what: 'a flipped bit in backup.json',
    damage: flip(RECORD, middle),
    expected: [`damaged ${RECORD}`],
    quick: [`damaged ${RECORD}`],
  },
  { what: 'an upload that did not end', damage: remove(RECORD), expected: [] },
  {
    what: 'a wrong identity',
    damage: replace(IDENTITY_KEY, () => identityOf(42n)),
    expected: wrongIdentity(),
    quick: [`damaged ${historyKey(2)}`, `damaged ${historyKey(3)}`, `misfit ${RECORD}`],
  },
  {
    what: 'a damaged identity',
    damage: replace(IDENTITY_KEY, (bytes) => bytes.subarray(0, -20)),
    expected: [`damaged ${IDENTITY_KEY}`],
    quick: [`damaged ${IDENTITY_KEY}`],
  },
  {
    what: 'no identity',
    damage: remove(IDENTITY_KEY),
    expected: [`store-gone ${IDENTITY_KEY}`],
    quick: [`store-gone ${IDENTITY_KEY}`],
  },
  {
    what: 'a segment of another cluster',
    damage: rewrite(
      S5,
      edit((plain) => plain.writeBigUInt64LE(42n, 24)),
    ),
    expected: [`misfit ${S5}`],
  },
  {
    what: 'a wrong address on the first page',
    damage: rewrite(
      S5,
      edit((plain) => plain.writeBigUInt64LE(0x60_0000n, 8)),
    ),
    expected: [`misfit ${S5}`],
  },
  {
    what: 'the magic of another version on the first page',
    damage: rewrite(
      S5,
      edit((plain) => plain.writeUInt16LE(0xd118, 0)),
    ),
    expected: [`misfit ${S5}`],
  },
  {
    what: 'an unknown magic on the first page',
    damage: rewrite(
      S5,
      edit((plain) => plain.writeUInt16LE(0xd111, 0)),
    ),
    expected: [`misfit ${S5}`],
  },
  {
    what: 'no magic on the first page',
    damage: rewrite(
      S5,
      edit((plain) => plain.fill(0, 0, 8192)),
    ),
    expected: [`misfit ${S5}`],
  },
  {
    what: 'a wrong byte in a record of a well-described segment',
    damage: rewrite(
      S5,
      edit((plain) => flipIn(plain, recordIn(plain) + 30)),
    ),
    expected: [`bad-record ${S5}`],
  },
  {
    what: 'a wrong link in a record of a well-described segment',
    damage: rewrite(
      S5,
      edit((plain) => flipIn(plain, recordIn(plain) + 9)),
    ),
    expected: [`bad-record ${S5}`],
  },
  {
    what: 'a wrong header on a page of a well-described segment',
    damage: rewrite(
      S5,
      edit((plain) => flipIn(plain, 50 * 8192 + 9)),
    ),
    expected: [`bad-record ${S5}`],
  },
  {
    what: 'a wrong byte where a record ends that began in the segment before',
    damage: rewrite(
      segmentKey(1, 7),
      edit((plain) => flipIn(plain, 40)),
    ),
    expected: [`bad-record ${segmentKey(1, 6)}`],
  },
  {
    what: 'zeros from a page on in a well-described segment',
    damage: rewrite(
      S5,
      edit((plain) => plain.fill(0, 60 * 8192)),
    ),
    expected: [`bad-record ${S5}`],
  },
  {
    what: 'zeros from a page on in a segment of the newest timeline',
    damage: rewrite(
      segmentKey(3, 12),
      edit((plain) => plain.fill(0, 60 * 8192)),
    ),
    expected: [`bad-record ${segmentKey(3, 12)}`],
  },
  {
    what: 'zeros from a page on in the last segment of all, as a crash leaves them',
    damage: rewrite(
      segmentKey(3, 13),
      edit((plain) => plain.fill(0, 8192)),
    ),
    expected: [],
  },
  {
    what: 'the tail of an older segment in a well-described one',
    damage: (objects) => {
      const older = withContent(S5, at(objects, segmentKey(1, 2)), (plain) => plain);
      rewrite(S5, (plain) => Buffer.concat([plain.subarray(0, 60 * 8192), contentOf(older).subarray(60 * 8192)]))(
        objects,
      );
    },
    expected: [`bad-record ${S5}`],
  },
  {
    what: 'the same object under another name',
    damage: replace(S5, (_, objects) => at(objects, segmentKey(1, 6))),
    // It names itself, and its first page says where it belongs.
    expected: [`misfit ${S5}`, `misfit ${S5}`],
  },
  {
    what: 'the content of another segment, described as this one',
    damage: (objects) => {
      const other = contentOf(at(objects, segmentKey(1, 6)));
      rewrite(S5, () => other)(objects);
    },
    expected: [`misfit ${S5}`],
  },
  {
    what: 'a copy under a name of no format',
    damage: (objects) => objects.set(`${S5}.copy`, at(objects, S5)),
    expected: [],
  },
  {
    what: 'a newer timeline in a first page',
    damage: rewrite(
      S5,
      edit((plain) => plain.writeUInt32LE(7, 4)),
    ),
    expected: [`misfit ${S5}`],
  },
  {
    what: 'a later version of a segment',
    meddle: (bucket) => void bucket.put(S5, 'junk'),
    expected: [`extra-version ${S5}`],
    quick: [`extra-version ${S5}`],
  },
  {
    what: 'a delete marker over a segment',
    meddle: (bucket) => void bucket.hide(S5),
    expected: [`delete-marker ${S5}`],
    quick: [`delete-marker ${S5}`],
  },
  {
    what: 'a later version of a part, and a delete marker over the history',
    meddle: (bucket) => {
      bucket.put(PART, 'junk');
      bucket.hide(historyKey(2));
    },
    expected: [`delete-marker ${historyKey(2)}`, `extra-version ${PART}`],
    quick: [`delete-marker ${historyKey(2)}`, `extra-version ${PART}`],
  },
  {
    what: 'a missing history',
    damage: remove(historyKey(2)),
    expected: ['missing-history 00000002.history'],
    quick: ['missing-history 00000002.history'],
  },
  {
    what: 'the newest history missing, with its WAL stored',
    damage: remove(historyKey(3)),
    expected: ['missing-history 00000003.history'],
    quick: ['missing-history 00000003.history'],
  },
  {
    what: 'a history whose object is cut off',
    damage: replace(historyKey(2), (bytes) => bytes.subarray(0, -5)),
    expected: [`damaged ${historyKey(2)}`],
    quick: [`damaged ${historyKey(2)}`],
  },
  {
    what: 'a history that is no history',
    damage: rewrite(historyKey(3), () => Buffer.from('1\tnowhere\n')),
    expected: [`bad-format ${historyKey(3)}`],
    quick: [`bad-format ${historyKey(3)}`],
  },
  {
    what: 'a history cut off within its last line',
    damage: rewrite(historyKey(3), (plain) => plain.subarray(0, -20)),
    expected: [`misfit ${historyKey(3)}`],
  },
  {
    what: 'a history without its first line',
    damage: rewrite(historyKey(3), cutLines(1)),
    expected: [`misfit ${historyKey(3)}`],
    quick: [`misfit ${historyKey(3)}`],
  },
  {
    what: 'a history that has an older timeline left elsewhere',
    damage: rewrite(historyKey(3), (plain) =>
      Buffer.from(plain.toString().replace(/(0\/8[0-9A-F]*)[0-9A-F]\t/, '$1F\t')),
    ),
    expected: [`misfit ${historyKey(3)}`],
    quick: [`misfit ${historyKey(3)}`],
  },
  {
    what: 'a history without its last line, so that its timeline seems to have begun earlier',
    damage: rewrite(historyKey(3), cutLines(0, 1)),
    expected: [`misfit ${historyKey(3)}`, ...missing(segmentKey(3, 8), segmentKey(3, 9), segmentKey(3, 10))],
    quick: missing(segmentKey(3, 8), segmentKey(3, 9), segmentKey(3, 10)),
  },
];

/** Each object says that it belongs elsewhere; what is worth nothing is not looked into. */
function wrongIdentity(): string[] {
  const histories = [historyKey(2), historyKey(3)];
  const rest = [...sound.keys()].filter((key) => key.startsWith('wal/') && !histories.includes(key));
  // Head and first page say it both.
  return [
    ...rest.flatMap((key) => [`misfit ${key}`, `misfit ${key}`]),
    `misfit ${RECORD}`,
    ...histories.map((key) => `damaged ${key}`),
  ].sort();
}

function contentOf(stored: Buffer): Buffer {
  let content: Buffer = Buffer.alloc(0);
  withContent(S5, stored, (plain) => (content = plain));
  return content;
}

function flipIn(bytes: Buffer, place: number): void {
  bytes.writeUInt8((bytes[place] ?? 0) ^ 4, place);
}

/** Where the first record begins that does not go on from the segment before. */
function recordIn(plain: Buffer): number {
  return (plain.readUInt16LE(2) & 1) === 0 ? 40 : 40 + ((plain.readUInt32LE(16) + 7) & ~7);
}

describe('verify finds exactly what is damaged', () => {
  test.each(TABLE)('$what', async (row) => {
    expect((await verified(row, { n: 1, of: 1 })).found).toEqual(row.expected);
  });

  test.each(TABLE)('$what, without contents', async (row) => {
    const { found, report } = await verified(row, undefined);
    expect(found).toEqual(row.quick ?? []);
    expect(report.objects).toBe(0);
  });
});

describe('slices of the contents', () => {
  it('are disjoint, and find together what one run finds', async () => {
    const row = TABLE.find(({ what }) => what.startsWith('a flipped bit in a part')) as Damage;
    const whole = await verified(row, { n: 1, of: 1 });
    for (const of of [2, 5, 16]) {
      const runs = await Promise.all(Array.from({ length: of }, (_, n) => verified(row, { n: n + 1, of })));
      const sum = (count: (report: VerifyReport) => number): number =>
        runs.reduce((total, { report }) => total + count(report), 0);
      // The manifest is read by each, to hold the parts against it.
      expect(sum(({ objects }) => objects)).toBe(whole.report.objects + of - 1);
      expect([...new Set(runs.flatMap(({ found }) => found))]).toEqual(whole.found);
      expect(sum(({ records, unproven }) => records + unproven)).toBe(whole.report.records + whole.report.unproven);
    }
  });

  it('leave no record unproven but where timelines begin', async () => {
    const { report } = await verified({}, { n: 1, of: 1 });
    expect(report.records).toBeGreaterThan(500);
    expect(report.unproven).toBeLessThanOrEqual(3);
  });
});
