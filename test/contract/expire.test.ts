/** `walhold expire` as a whole, in this process, on files and over real HTTP. */
import { DeleteObjectCommand, ListObjectVersionsCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { chmod, cp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { hasCode, WalholdError } from '../../src/base/errors.ts';
import { SILENT } from '../../src/base/log.ts';
import { ExpireOutput, type ExpireJson } from '../../src/commands/expire/expire-output.ts';
import { emptyReport, expireRepository } from '../../src/commands/expire/expire-repository.ts';
import type { ListJson } from '../../src/commands/list.ts';
import type { PolicyDocument } from '../../src/commands/lock/s3-policy.ts';
import type { VerifyJson } from '../../src/commands/verify.ts';
import { fileRemover } from '../../src/store/file-remove.ts';
import type { RemovingStore } from '../../src/store/store.ts';
import { adminClient } from '../support/bucket.ts';
import { callCompanion, type CompanionResult } from '../support/companion-call.ts';
import {
  DOOMED_OBJECTS,
  GOING,
  KEPT,
  keyOf,
  LATER,
  NEWEST,
  OLD,
  OLD_CHILD,
  OLD_GRANDCHILD,
  putExpirable,
  SEGMENTS,
  STAYING,
} from '../support/expirable.ts';
import { FakeS3 } from '../support/fake-s3.ts';
import { FileRepository } from '../support/file-repository.ts';
import { nameOf } from '../support/made-segments.ts';
import { environmentOf, sessionFor } from '../support/minio-sessions.ts';
import { s3ServerKinds, startMinio, type S3Access, type S3Server } from '../support/s3-server.ts';

const DAY = 86_400_000;
const BUCKET = 'expiring';
/** A bucket that locks takes nothing without. */
const CHECKED = { ChecksumAlgorithm: 'CRC32C' } as const;

interface Outcome extends ExpireJson {
  exit: number;
  stderr: string;
}

function outcomeOf({ status, stdout, stderr }: CompanionResult): Outcome {
  const result =
    stdout === '' ? { removed: [], skipped: [], dryRun: false, repositories: [] } : (JSON.parse(stdout) as ExpireJson);
  return { ...result, exit: status, stderr };
}

describe('expire on files', () => {
  let repository: FileRepository;
  beforeEach(async () => {
    repository = await FileRepository.create();
    await putExpirable(repository);
  });
  afterEach(() => repository[Symbol.asyncDispose]());

  const call = (...argv: string[]): Promise<CompanionResult> =>
    callCompanion([...argv, '--repo', `file://${repository.root}`]);
  const expire = async (...argv: string[]): Promise<Outcome> =>
    outcomeOf(await call('expire', '--json', '--retention-full', '1', ...argv));
  const files = async (): Promise<string[]> => {
    const found = await readdir(repository.root, { recursive: true, withFileTypes: true });
    return found
      .filter((one) => one.isFile())
      .map((one) => join(one.parentPath, one.name).slice(repository.root.length + 1))
      .sort();
  };

  it('says with --dry-run what would go, and removes nothing', async () => {
    const before = await files();
    const told = await expire('--dry-run');
    expect(told).toMatchObject({ exit: 0, stderr: '', dryRun: true, skipped: [] });
    expect(told.removed).toHaveLength(DOOMED_OBJECTS);
    expect(await files()).toEqual(before);
    const done = await expire();
    expect(done.removed.toSorted()).toEqual(told.removed.toSorted());
    expect((await files()).filter((one) => !one.startsWith('expired/'))).toEqual(
      before.filter((one) => !told.removed.includes(one)),
    );
  });

  it('leaves what is kept and what leads on, whole: nothing that is missing is called a loss', async () => {
    const done = await expire();
    expect(done).toMatchObject({ exit: 0, stderr: '' });
    expect(done.repositories).toMatchObject([{ removedObjects: DOOMED_OBJECTS, skippedObjects: 0 }]);
    expect(done.repositories[0]?.backups.toSorted()).toEqual(GOING.toSorted());
    const list = JSON.parse((await call('list', '--json')).stdout) as ListJson;
    expect(list.backups.map(({ id }) => id)).toEqual([KEPT, NEWEST]);
    expect(list.gaps).toEqual([]);
    const verify = JSON.parse((await call('verify', '--json')).stdout) as VerifyJson;
    expect(verify.problems).toEqual([]);
    // A loss is called one nevertheless.
    await rm(join(repository.root, keyOf(16)));
    const lost = JSON.parse((await call('verify', '--json')).stdout) as VerifyJson;
    expect(lost.problems).toMatchObject([{ code: 'missing-segment', object: nameOf(16) }]);
  });

  it('removes nothing more the second time, and makes no second index', async () => {
    const first = await expire();
    const after = await files();
    expect(await expire()).toMatchObject({ exit: 0, stderr: '', removed: [], skipped: [] });
    expect(await files()).toEqual(after);
    expect(after.filter((one) => one.startsWith('expired/'))).toEqual([first.repositories[0]?.record]);
  });

  it('keeps a window', async () => {
    const months = Math.ceil((Date.now() - Date.parse('2026-04-15T00:00:00Z')) / DAY);
    const told = await expire('--retention-window', `${months}d`, '--dry-run');
    // Only what the chain on the first needs is over: the kept one leads to the moments from its end on.
    expect(told.repositories[0]?.backups.toSorted()).toEqual([OLD, OLD_CHILD, OLD_GRANDCHILD]);
    expect(told.removed.filter((one) => one.startsWith('wal/'))).toEqual(
      SEGMENTS.filter((segno) => segno < 8).map(keyOf),
    );
  });

  it('skips what is retained, with its date, and with a backup all that it needs', async () => {
    const until = new Date(Math.ceil(Date.now() / 1000) * 1000 + 5 * DAY);
    const retain = async (key: string): Promise<void> => {
      const path = join(repository.root, key);
      const { mtime } = await stat(path);
      await utimes(path, until, mtime);
      await chmod(path, 0o440);
    };
    await retain(`backup/${OLD_CHILD}/part-1.tar.zst`);
    await retain(keyOf(12));
    for (const dry of [['--dry-run'], []]) {
      const done = await expire(...dry);
      expect(done).toMatchObject({ exit: 0, stderr: '' });
      const skipped = done.skipped.map(({ object }) => object);
      expect(skipped).toContain(keyOf(12));
      expect(skipped).toContain(`backup/${OLD_CHILD}/backup.json`);
      expect(skipped).toContain(`backup/${OLD}/backup.json`);
      expect(new Set(done.skipped.map(({ lockedUntil }) => lockedUntil))).toEqual(new Set([until.toISOString()]));
      expect(done.repositories[0]?.backups.toSorted()).toEqual([OLD_GRANDCHILD, LATER].toSorted());
      expect(done.removed).not.toContain(keyOf(4));
      expect(done.removed).toContain(keyOf(6));
    }
    const verify = JSON.parse((await call('verify', '--json')).stdout) as VerifyJson;
    expect(verify.problems).toEqual([]);
  });

  it('removes uploads that did not end after a grace, and gives up nothing that a younger one may need', async () => {
    const weeks = new Date(Date.now() - 8 * DAY);
    for (const [id, at] of [
      ['20260515T000000Z-full', weeks],
      ['20260516T000000Z-full', new Date()],
    ] as const) {
      await repository.put(`backup/${id}/part-1.tar.zst`, 'x');
      await utimes(join(repository.root, `backup/${id}/part-1.tar.zst`), at, at);
    }
    const done = await expire();
    expect(done.exit).toBe(0);
    expect(done.stderr).toContain('20260516T000000Z-full');
    expect(done.removed).toContain('backup/20260515T000000Z-full/part-1.tar.zst');
    expect(done.removed).not.toContain('backup/20260516T000000Z-full/part-1.tar.zst');
    // The last one before it.
    expect(done.removed).not.toContain(`backup/${LATER}/backup.json`);
    expect(done.removed).not.toContain(keyOf(12));
    expect(done.removed).toContain(`backup/${OLD}/backup.json`);
  });

  it.each([
    ['a record that cannot be read', `backup/${LATER}/backup.json`, '{"format": 1}'],
    ['a history that cannot be read', 'wal/00000002.history.zst', 'x'],
  ])('removes nothing beside %s', async (_, key, text) => {
    await writeFile(join(repository.root, key), text);
    const before = await files();
    const done = await expire();
    expect(done).toMatchObject({ exit: 1, removed: [] });
    expect(done.stderr).toContain('so nothing was removed');
    expect(await files()).toEqual(before);
  });

  it('removes nothing where no backup can be restored', async () => {
    for (const segno of [2, 4, 6, 8, 11, 14]) await rm(join(repository.root, keyOf(segno)));
    const before = await files();
    const done = await expire();
    expect(done).toMatchObject({ exit: 0, removed: [] });
    expect(done.stderr).toContain('no backup that can be restored');
    expect(await files()).toEqual(before);
  });

  it('keeps the newest backup that can be restored, though newer ones are there that cannot', async () => {
    await rm(join(repository.root, keyOf(14)));
    await rm(join(repository.root, `backup/${KEPT}/part-2.tar.zst`));
    const done = await expire();
    expect(done.exit).toBe(0);
    expect(done.removed).not.toContain(`backup/${LATER}/backup.json`);
    expect(done.removed).not.toContain(keyOf(11));
    expect(done.removed).not.toContain(`backup/${NEWEST}/backup.json`);
    expect(done.removed).toContain(`backup/${OLD}/backup.json`);
  });

  it('removes nothing when something is stored in the future: a clock is wrong', async () => {
    const later = new Date(Date.now() + DAY / 24);
    await utimes(join(repository.root, keyOf(17)), later, later);
    const done = await expire();
    expect(done).toMatchObject({ exit: 1, removed: [] });
    expect(done.stderr).toContain('clock');
  });

  it('does nothing without a retention, and says what to set', async () => {
    const { status, stderr, stdout } = await call('expire', '--json');
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain('hint: Set retention_window');
  });
});

const servers: { name: string; start: () => Promise<S3Access & AsyncDisposable> }[] = [
  { name: 'a strict S3', start: startFake },
  ...(s3ServerKinds().includes('minio') ? [{ name: 'MinIO', start: startWithBucket }] : []),
];

async function startFake(): Promise<FakeS3> {
  const fake = await FakeS3.start();
  fake.makeBucket(BUCKET, { lock: {} });
  return fake;
}

async function startWithBucket(): Promise<S3Server> {
  const server = await startMinio();
  await server.makeBucket(BUCKET, { objectLock: true });
  return server;
}

afterEach(() => void vi.unstubAllEnvs());

function useKeys(keys: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries({ AWS_SESSION_TOKEN: '', ...keys }))
    vi.stubEnv(name, value === '' ? undefined : value);
}

function useAdmin({ accessKey, secretKey }: S3Access): void {
  useKeys({ AWS_ACCESS_KEY_ID: accessKey, AWS_SECRET_ACCESS_KEY: secretKey });
}

const LOCKED = ['--lock-mode', 'governance', '--lock-period', '1d'];
const place = ({ endpoint, region }: S3Access, prefix = ''): string[] => [
  prefix === '' ? '--repo' : '--repo2',
  `s3://${BUCKET}/main`,
  `--${prefix}s3-endpoint`,
  endpoint,
  `--${prefix}s3-path-style`,
  'on',
  `--${prefix}s3-region`,
  region,
];

/** The same backups and WAL, in the bucket. */
async function fill(access: S3Access, lock: readonly string[] = []): Promise<void> {
  useAdmin(access);
  await using source = await FileRepository.create();
  await putExpirable(source);
  const to = [...place(access, 'repo2-'), ...lock.map((one) => one.replace(/^--/, '--repo2-'))];
  const copied = await callCompanion([
    'repo',
    'copy',
    '--from',
    '1',
    '--to',
    '2',
    '--repo',
    `file://${source.root}`,
    ...to,
  ]);
  expect(copied).toMatchObject({ status: 0, stderr: '' });
}

async function expireIn(access: S3Access, ...argv: string[]): Promise<Outcome> {
  return outcomeOf(await callCompanion(['expire', '--json', '--retention-full', '1', ...place(access), ...argv]));
}

describe.each(servers)('expire on $name', ({ start }) => {
  it('removes every version and marker of the names that go, and of no other', async () => {
    await using server = await start();
    await fill(server);
    const admin = adminClient(server);
    const put = (segno: number): Promise<unknown> =>
      admin.send(new PutObjectCommand({ Bucket: BUCKET, Key: `main/${keyOf(segno)}`, Body: 'ransom', ...CHECKED }));
    await put(3);
    await put(16);
    await admin.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: `main/${keyOf(4)}` }));
    const done = await expireIn(server);
    expect(done.exit).toBe(0);
    expect(done.removed).toHaveLength(DOOMED_OBJECTS);
    const left = await admin.send(new ListObjectVersionsCommand({ Bucket: BUCKET, Prefix: 'main/wal/' }));
    const keys = [...(left.Versions ?? []), ...(left.DeleteMarkers ?? [])].map(({ Key = '' }) =>
      Key.slice('main/'.length),
    );
    expect(keys.toSorted()).toEqual([...STAYING, 16].map(keyOf).toSorted());
    expect(await expireIn(server)).toMatchObject({ exit: 0, removed: [] });
    admin.destroy();
  });

  it('skips what is locked and hidden by a marker, with its date', async () => {
    await using server = await start();
    await fill(server, LOCKED);
    const admin = adminClient(server);
    await admin.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: `main/${keyOf(13)}` }));
    for (const dry of [['--dry-run'], []]) {
      const done = await expireIn(server, ...LOCKED, ...dry);
      expect(done).toMatchObject({ exit: 0, removed: [] });
      expect(done.stderr).not.toContain('error:');
    }
    const stays = await expireIn(server, ...LOCKED);
    expect(stays.skipped.map(({ object }) => object)).toContain(keyOf(13));
    admin.destroy();
  });

  it('skips what is locked, with its date', async () => {
    await using server = await start();
    await fill(server, LOCKED);
    for (const dry of [['--dry-run'], []]) {
      const done = await expireIn(server, ...LOCKED, ...dry);
      expect(done).toMatchObject({ exit: 0, stderr: '', removed: [] });
      // The backups that stay need what makes them consistent.
      expect(done.skipped).toHaveLength(GOING.length * 4 + [1, 10, 13].length);
      for (const { lockedUntil } of done.skipped) {
        expect(Date.parse(lockedUntil ?? '')).toBeGreaterThan(Date.now() + DAY - 600_000);
        expect(Date.parse(lockedUntil ?? '')).toBeLessThan(Date.now() + DAY + 600_000);
      }
    }
  });

  it('finds out by trying what is locked without that the settings say so', async () => {
    await using server = await start();
    await fill(server, LOCKED);
    const done = await expireIn(server);
    expect(done).toMatchObject({ exit: 0, stderr: '', removed: [] });
    expect(done.skipped.map(({ object }) => object)).toContain(keyOf(1));
  });
});

describe("expire with a role's rights", () => {
  const objectsIn = async (admin: S3Client): Promise<number> => {
    const { Versions = [] } = await admin.send(new ListObjectVersionsCommand({ Bucket: BUCKET }));
    return Versions.filter(({ Key }) => Key?.startsWith('main/expired/') !== true).length;
  };
  const policyOf = async (access: S3Access, role: string): Promise<PolicyDocument> =>
    JSON.parse(
      (await callCompanion(['lock', 'policy', '--for', role, ...place(access), ...LOCKED])).stdout,
    ) as PolicyDocument;

  it('ends with 1 at the first refusal that no lock explains, and names the object and the right', async () => {
    await using fake = await startFake();
    await fill(fake);
    const admin = adminClient(fake);
    const before = await objectsIn(admin);
    const { Statement } = await policyOf(fake, 'archiver');
    fake.addKey(
      'archiver',
      Statement.flatMap(({ Action }) => Action),
    );
    useKeys({ AWS_ACCESS_KEY_ID: 'archiver', AWS_SECRET_ACCESS_KEY: fake.secretKey });
    const done = await expireIn(fake);
    expect(done).toMatchObject({ exit: 1, removed: [] });
    expect(done.stderr).toMatch(/could not remove s3:\/\/expiring\/main\/backup\/\S+\/backup\.json/);
    expect(done.stderr).toContain('s3:DeleteObjectVersion');
    expect(await objectsIn(admin)).toBe(before);
    admin.destroy();
  });

  it.skipIf(!s3ServerKinds().includes('minio'))(
    'is refused what the policy for an archiver grants, and does with that for a pruner',
    async () => {
      await using server = await startWithBucket();
      await fill(server);
      const admin = adminClient(server);
      const before = await objectsIn(admin);
      useKeys(environmentOf(await sessionFor(server, await policyOf(server, 'archiver'))));
      const refused = await expireIn(server);
      expect(refused).toMatchObject({ exit: 1, removed: [] });
      expect(refused.stderr).toContain('main/expired/');
      expect(await objectsIn(admin)).toBe(before);
      useAdmin(server);
      useKeys(environmentOf(await sessionFor(server, await policyOf(server, 'pruner'))));
      const done = await expireIn(server, ...LOCKED);
      expect(done).toMatchObject({ exit: 0, stderr: '' });
      expect(done.removed).toHaveLength(DOOMED_OBJECTS);
      expect(await objectsIn(admin)).toBe(before - DOOMED_OBJECTS);
      admin.destroy();
    },
  );

  it('removes nothing when the clock of the store is far from this one', async () => {
    await using fake = await startFake();
    await fill(fake);
    fake.skewMs = 600_000;
    const asked = fake.requests.length;
    const done = await expireIn(fake);
    expect(done).toMatchObject({ exit: 1, removed: [] });
    expect(done.stderr).toMatch(/it is (600|599) s ahead/);
    expect(fake.requests.slice(asked)).not.toContain('PutObject');
  });

  it('leaves held backups, with what makes them consistent', async () => {
    await using fake = await startFake();
    await fill(fake);
    expect(await callCompanion(['lock', 'hold', OLD_CHILD, ...place(fake), ...LOCKED])).toMatchObject({ status: 0 });
    const done = await expireIn(fake);
    expect(done).toMatchObject({ exit: 0, stderr: '', skipped: [] });
    expect(done.repositories[0]?.backups.toSorted()).toEqual([OLD_GRANDCHILD, LATER].toSorted());
    expect(done.removed).not.toContain(keyOf(4));
    expect(done.removed).toContain(keyOf(6));
  });
});

describe('expire that is broken off', () => {
  it('leaves nothing that looks like a backup and is none, wherever it is; the next run finishes it', async () => {
    await using template = await FileRepository.create();
    await putExpirable(template);
    const namesIn = async (root: string): Promise<string[]> => {
      const found = await readdir(root, { recursive: true, withFileTypes: true });
      const names = found.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name).slice(root.length));
      return names.filter((one) => !one.startsWith('/expired/')).sort();
    };
    for (const jobs of [1, 4]) {
      let finished: string[] | undefined;
      // From the end, so that the first of them is a run that is not broken off.
      for (let most = DOOMED_OBJECTS; most >= 0; most -= jobs) {
        await using one = await FileRepository.create();
        await cp(template.root, one.root, { recursive: true });
        const settings = ['--repo', `file://${one.root}`, '--jobs', String(jobs)];
        const broken = await breakOff(one, { jobs, most });
        expect(broken).toBe(most < DOOMED_OBJECTS);
        const verify = JSON.parse(
          (await callCompanion(['verify', '--quick', '--json', ...settings])).stdout,
        ) as VerifyJson;
        expect(verify.problems, `after ${most} of ${jobs}`).toEqual([]);
        const rest = await callCompanion(['expire', '--retention-full', '1', ...settings]);
        expect(rest).toMatchObject({ status: 0, stderr: '' });
        finished ??= await namesIn(one.root);
        expect(await namesIn(one.root), `after ${most} of ${jobs}`).toEqual(finished);
      }
      expect(finished).toHaveLength(1 + 2 * 4 + STAYING.length);
    }
  });
});

/** Expires with a remover that is gone after so many removals. */
async function breakOff(
  { repository, root }: FileRepository,
  { jobs, most }: { jobs: number; most: number },
): Promise<boolean> {
  const remover = fileRemover({ root });
  let removed = 0;
  const breaking: RemovingStore = {
    remove: async (key, options) => {
      if ((removed += 1) > most) throw new WalholdError('interrupted', 'stopped by a signal');
      await remover.remove(key, options);
    },
    close: () => remover.close(),
  };
  const always = { signal: new AbortController().signal, clock: systemClock, log: SILENT, by: 'a test', jobs };
  const retention = { windowMs: 0, fullBackups: 1 };
  const output = new ExpireOutput(() => undefined, { json: true });
  const options = { ...always, retention, output, openRemover: () => Promise.resolve(breaking) };
  try {
    await expireRepository(repository, options, emptyReport(repository));
    return false;
  } catch (error) {
    if (!hasCode(error, 'interrupted')) throw error;
    return true;
  }
}
