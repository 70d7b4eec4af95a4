/** `walhold expire` as a whole on a strict GCS: generations, retention of both modes, holds, and the bucket's own policy. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ExpireJson } from '../../src/commands/expire/expire-output.ts';
import type { VerifyJson } from '../../src/commands/verify.ts';
import { callCompanion, jsonOf, type CompanionResult } from '../support/companion-call.ts';
import {
  DOOMED_OBJECTS,
  keyOf,
  LATER,
  OLD,
  OLD_CHILD,
  OLD_GRANDCHILD,
  putExpirable,
  STAYING,
} from '../support/expirable.ts';
import type { FakeGcsBucket, FakeGcsBucketOptions, FakeGeneration } from '../support/fake-gcs-bucket.ts';
import { FakeGcs } from '../support/fake-gcs.ts';
import { meanwhile } from '../support/fake-s3-faults.ts';
import { FileRepository } from '../support/file-repository.ts';

const BUCKET = 'expiring';
const DAY = 86_400_000;

interface Place extends AsyncDisposable {
  fake: FakeGcs;
  bucket: FakeGcsBucket;
  live(key: string): FakeGeneration;
  call(...argv: string[]): Promise<CompanionResult>;
  expire(...argv: string[]): Promise<ExpireJson & { exit: number; stderr: string }>;
}

async function place(options: FakeGcsBucketOptions): Promise<Place> {
  await using source = await FileRepository.create();
  await putExpirable(source);
  const fake = await FakeGcs.start({ pageItems: 10 });
  const bucket = fake.makeBucket(BUCKET, options);
  for (const entry of await readdir(source.root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) bucket.add(`main/${path.slice(source.root.length + 1)}`, await readFile(path));
  }
  const settings = ['--repo', `gs://${BUCKET}/main`, '--gcs-endpoint', fake.endpoint];
  const call = (...argv: string[]): Promise<CompanionResult> => callCompanion([...argv, ...settings]);
  return {
    fake,
    bucket,
    call,
    live(key) {
      const found = bucket.live(`main/${key}`);
      if (found === undefined) throw new Error(`${key} is not there`);
      return found;
    },
    async expire(...argv) {
      const result = await call('expire', '--json', '--retention-full', '1', ...argv);
      return { ...jsonOf<ExpireJson>(result), exit: result.status, stderr: result.stderr };
    },
    [Symbol.asyncDispose]: () => fake[Symbol.asyncDispose](),
  };
}

describe('expire on a strict GCS', () => {
  it('removes every generation of the names that go, and of no other', async () => {
    await using at = await place({ versioning: true });
    for (const segno of [3, 16]) at.bucket.add(`main/${keyOf(segno)}`, Buffer.from('ransom'));
    at.bucket.remove(`main/${keyOf(4)}`, null);
    const done = await at.expire();
    expect(done.exit).toBe(0);
    expect(done.removed).toHaveLength(DOOMED_OBJECTS);
    const left = [...at.bucket.generations].filter(([name]) => name.startsWith('main/wal/'));
    expect(left.map(([name]) => name.slice('main/'.length)).toSorted()).toEqual(STAYING.map(keyOf).toSorted());
    expect(left.flatMap(([, generations]) => generations)).toHaveLength(STAYING.length + 1);
    expect(await at.expire()).toMatchObject({ exit: 0, removed: [], skipped: [] });
  });

  it('skips what is retained in either mode, or held, with its date, and with a backup all that it needs', async () => {
    await using at = await place({ objectRetention: true });
    const day = (days: number): string => new Date(Math.ceil(Date.now() / 1000) * 1000 + days * DAY).toISOString();
    const [five, six, past] = [day(5), day(6), day(-1)];
    at.live(`backup/${OLD_CHILD}/part-1.tar.zst`).retention = { mode: 'Locked', retainUntilTime: five };
    at.live(keyOf(12)).retention = { mode: 'Unlocked', retainUntilTime: six };
    at.live(keyOf(6)).retention = { mode: 'Locked', retainUntilTime: past };
    at.live(keyOf(13)).temporaryHold = true;
    at.live(keyOf(10)).eventBasedHold = true;
    for (const dry of [['--dry-run'], []]) {
      const done = await at.expire(...dry);
      expect(done).toMatchObject({ exit: 0, stderr: '' });
      const until = new Map(done.skipped.map(({ object, lockedUntil }) => [object, lockedUntil]));
      expect(until.get(`backup/${OLD_CHILD}/backup.json`)).toBe(five);
      expect(until.get(`backup/${OLD}/backup.json`)).toBe(five);
      expect(until.get(keyOf(12))).toBe(six);
      expect([until.get(keyOf(13)), until.get(keyOf(10))]).toEqual([null, null]);
      expect(done.repositories[0]).toMatchObject({ nextFree: five });
      expect(done.repositories[0]?.backups.toSorted()).toEqual([OLD_GRANDCHILD, LATER].toSorted());
      expect(done.removed).not.toContain(keyOf(4));
      expect(done.removed).toContain(keyOf(6));
    }
    const verify = jsonOf<VerifyJson>(await at.call('verify', '--json'));
    expect(verify.problems).toEqual([]);
  });

  it('is told by the refusal what a listing of before has not shown', async () => {
    await using at = await place({ objectRetention: true });
    const until = new Date(Math.ceil(Date.now() / 1000) * 1000 + 5 * DAY).toISOString();
    // Between the survey and the first removal.
    const first = at.live(keyOf(12));
    at.fake.fail(
      meanwhile(() => (first.retention = { mode: 'Locked', retainUntilTime: until })),
      { operation: 'delete' },
    );
    const done = await at.expire();
    expect(at.fake.allFaultsMet).toBe(true);
    expect(done).toMatchObject({ exit: 0, stderr: '' });
    expect(done.skipped).toEqual([{ object: keyOf(12), lockedUntil: until, repository: 1 }]);
    expect(done.removed).toHaveLength(DOOMED_OBJECTS - 1);
  });

  it("skips everything that the bucket's own policy keeps, with its date", async () => {
    await using at = await place({ retentionPolicy: { seconds: 30 * 86_400, locked: true } });
    const done = await at.expire();
    expect(done).toMatchObject({ exit: 0, stderr: '', removed: [] });
    for (const { lockedUntil } of done.skipped) {
      expect(Date.parse(lockedUntil ?? '')).toBeGreaterThan(Date.now() + 29 * DAY);
      expect(Date.parse(lockedUntil ?? '')).toBeLessThan(Date.now() + 31 * DAY);
    }
    expect(done.skipped.map(({ object }) => object)).toContain(keyOf(1));
    expect(at.fake.requests).not.toContain('delete');
  });
});
