/** How many requests a restore makes of a bucket: so many for each part, however many files lie in it. */
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { BackupRecord } from '../../src/repository/backup-record.ts';
import { callCompanion, type CompanionResult } from '../support/companion-call.ts';
import { asUsual, type Fault } from '../support/fake-s3-faults.ts';
import { FakeS3 } from '../support/fake-s3.ts';
import { BLOCK_BYTES, linkId, putLink, type LinkContents } from '../support/made-chain.ts';
import { RestorePlace, SMALL_CLUSTER } from '../support/restorable-backup.ts';
import type { Contents } from '../support/stored-backup.ts';

const BUCKET = 'restored';
const FEW = 30;
const MANY = 3000;
/** As many as a link has. */
const PARTS = 3;
/** With so many files a part is read in two pieces. */
const MORE_FOR_A_PART = 1;
const DATABASES = [
  { oid: 16_384, name: 'wanted', template: false },
  { oid: 16_385, name: 'other', template: false },
];

afterEach(() => void vi.unstubAllEnvs());

/** One after the other of two databases, each file in a frame of its own. */
function relations(count: number, link: number): Record<string, Buffer> {
  return Object.fromEntries(
    Array.from({ length: count }, (_, n) => {
      const first = Buffer.alloc(BLOCK_BYTES, n % 251);
      return [
        `base/${16_384 + (n % 2)}/${20_000 + n}`,
        Buffer.concat([first, Buffer.alloc(BLOCK_BYTES, link + (n % 7))]),
      ];
    }),
  );
}

/** A full backup, and on it so many incremental ones, which have one block of each file. */
async function putChain(place: RestorePlace, files: number, incremental: number): Promise<void> {
  const others: Contents = Object.fromEntries(
    DATABASES.flatMap(({ oid }) => [
      [`base/${oid}/PG_VERSION`, '15\n'],
      [`base/${oid}/pg_filenode.map`, 'a map'],
    ]),
  );
  let parent: BackupRecord | undefined;
  for (let link = 0; link <= incremental; link += 1) {
    const before = relations(files, link - 1);
    const contents: LinkContents = { relations: relations(files, link), others };
    const changes = Object.fromEntries(Object.entries(before).map(([path, bytes]) => [path, { before: bytes }]));
    const change = (record: BackupRecord): BackupRecord => ({ ...record, databases: DATABASES });
    const options = { id: linkId(link), parent, segno: 2 + link, filesPerFrame: 1, change };
    parent = await putLink(place.stored, link === 0 ? contents : { ...contents, changes }, options);
  }
}

/** The same objects in a bucket that keeps versions. */
async function moved(place: RestorePlace, fake: FakeS3): Promise<void> {
  const bucket = fake.makeBucket(BUCKET, { lock: {} });
  const { root } = place.stored;
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) bucket.add(`main/${path.slice(root.length + 1)}`, await readFile(path));
  }
}

async function restoreFrom(fake: FakeS3, { target }: RestorePlace, flags: readonly string[]): Promise<CompanionResult> {
  vi.stubEnv('AWS_ACCESS_KEY_ID', fake.accessKey);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', fake.secretKey);
  const at = ['--repo', `s3://${BUCKET}/main`, '--s3-endpoint', fake.endpoint, '--s3-region', fake.region];
  return await callCompanion(['restore', '-D', target, ...at, '--s3-path-style', 'on', ...flags]);
}

interface Way {
  name: string;
  incremental: number;
  flags: readonly string[];
  /** What lies in the target. */
  prepare?: (place: RestorePlace) => Promise<void>;
}

/** Restored once, and then every second file is another. */
async function leaveHalf(place: RestorePlace): Promise<void> {
  expect(await place.restore('--backup', linkId(0))).toMatchObject({ status: 0 });
  await rm(join(place.target, 'recovery.signal'));
  const names = (await place.made()).filter((path) => /^base\/\d+\/2\d{4}$/.test(path));
  for (const path of names.filter((_, n) => n % 2 === 0)) await writeFile(join(place.target, path), 'another');
}

const WAYS: readonly Way[] = [
  { name: 'a full backup', incremental: 0, flags: [] },
  { name: 'a chain of three', incremental: 2, flags: [] },
  { name: 'one of two databases', incremental: 0, flags: ['--only-db', 'wanted'] },
  { name: 'one of two databases of a chain', incremental: 2, flags: ['--only-db', 'wanted'] },
  { name: 'every second file', incremental: 0, flags: ['--delta'], prepare: leaveHalf },
  { name: 'a chain over every second file', incremental: 2, flags: ['--delta'], prepare: leaveHalf },
];

async function requestsFor({ incremental, flags, prepare }: Way, files: number): Promise<number> {
  await using place = await RestorePlace.create();
  await putChain(place, files, incremental);
  await prepare?.(place);
  await using fake = await FakeS3.start();
  await moved(place, fake);
  const { status, stderr } = await restoreFrom(fake, place, ['--jobs', '2', ...flags]);
  expect(status, stderr).toBe(0);
  const expected = relations(files, incremental);
  const last = Object.keys(expected).findLast((path) => path.startsWith('base/16384/')) ?? '';
  expect((await readFile(join(place.target, last))).equals(expected[last] ?? Buffer.alloc(0))).toBe(true);
  return fake.requests.length;
}

describe('the requests of a restore', () => {
  it.each(WAYS)('are as many for each part, however many files it has: $name', async (way) => {
    const few = await requestsFor(way, FEW);
    const many = await requestsFor(way, MANY);
    const parts = PARTS * (way.incremental + 1);
    expect(few).toBeLessThan(20 + 8 * parts);
    expect(many - few).toBeLessThanOrEqual(MORE_FOR_A_PART * parts);
  });
});

it('are answered while others are on their way: a single thread has three of them open', async () => {
  await using place = await RestorePlace.create();
  const files = Array.from({ length: 6 }, (_, n) => ({ [`base/1/${16_384 + n}`]: 'content' }));
  const { 'global/pg_control': control = '', ...others } = SMALL_CLUSTER;
  const record = await place.putBackup({ parts: [others, ...files, { 'global/pg_control': control }] });
  await using fake = await FakeS3.start();
  await moved(place, fake);
  const three = Promise.withResolvers<void>();
  let waiting = 0;
  // A part is read for its first member before, by itself.
  const holds: Fault = async (request, carryOut, response) => {
    const isPart = /part-[2-9]\.tar\.zst$/.test(request.key);
    if (isPart && (waiting += 1) === 3) three.resolve();
    if (isPart) await three.promise;
    await asUsual(request, carryOut, response);
  };
  fake.fail(holds, { operation: 'GetObject', times: 100 });
  expect(await restoreFrom(fake, place, ['--jobs', '1'])).toMatchObject({ status: 0 });
  expect(waiting).toBe(record.parts.length - 1);
});
