import {
  DeleteObjectCommand,
  GetObjectLegalHoldCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { describe, expect, test } from 'vitest';
import type { LockExtendJson } from '../../src/commands/lock/lock-extend.ts';
import type { LockStatusJson } from '../../src/commands/lock/lock-status-json.ts';
import type { PolicyDocument } from '../../src/commands/lock/s3-policy.ts';
import { splitArguments } from '../../src/config/arguments.ts';
import { loadConfig } from '../../src/config/load.ts';
import { adminClient } from '../support/bucket.ts';
import { blocksFor } from '../support/document-blocks.ts';
import { FakeS3 } from '../support/fake-s3.ts';
import { FileRepository } from '../support/file-repository.ts';
import { built } from '../support/hook.ts';
import { nameOf, putSegments } from '../support/made-segments.ts';
import { plainEnvironment, run, type RunResult } from '../support/run.ts';
import { s3ServerKinds, startMinio, type S3Access, type S3Server } from '../support/s3-server.ts';
import { inSegment, putBackup } from '../support/stored-backup.ts';

const WALHOLD = await built('walhold');
const DAY = 86_400_000;
const BUCKET = 'locked';
const BACKUP = '20261122T174500Z-full';
/** The identity, five segments, two parts, a manifest and a record. */
const OBJECTS = 10;
/** A bucket that locks takes nothing without. */
const CHECKED = { ChecksumAlgorithm: 'CRC32C' } as const;
const keyOf = (segno: number): string => `main/wal/00000001/0000000100000000/${nameOf(segno)}.zst`;

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

/** A call with these settings of locks. */
function walhold(access: S3Access, argv: readonly string[], period = '30d'): Promise<RunResult> {
  const { endpoint, region, accessKey, secretKey } = access;
  const env = { ...plainEnvironment(), AWS_ACCESS_KEY_ID: accessKey, AWS_SECRET_ACCESS_KEY: secretKey };
  const place = ['--repo', `s3://${BUCKET}/main`, '--s3-endpoint', endpoint, '--s3-path-style', 'on'];
  const lock = ['--s3-region', region, '--lock-mode', 'governance', '--lock-period', period, '--lock-max', '90d'];
  return run([WALHOLD, ...argv, ...place, ...lock, '--jobs', '2'], { env });
}

async function json<T>(call: Promise<RunResult>): Promise<T & { exit: number | null }> {
  const { status, stdout, stderr } = await call;
  if (stdout === '') throw new Error(stderr);
  return { ...(JSON.parse(stdout) as T), exit: status };
}

/** A bucket that locks, with a backup and its WAL, stored by walhold and locked for a day. */
async function fill(access: S3Access): Promise<void> {
  await using source = await FileRepository.create();
  await putSegments(source, 2, 6);
  await putBackup(source, { id: BACKUP, startLsn: inSegment(3), stopLsn: inSegment(4, 400) });
  const { endpoint, region, accessKey, secretKey } = access;
  const env = { ...plainEnvironment(), AWS_ACCESS_KEY_ID: accessKey, AWS_SECRET_ACCESS_KEY: secretKey };
  const to = ['--repo2', `s3://${BUCKET}/main`, '--repo2-s3-endpoint', endpoint, '--repo2-s3-path-style', 'on'];
  const lock = ['--repo2-s3-region', region, '--repo2-lock-mode', 'governance', '--repo2-lock-period', '1d'];
  const argv = ['repo', 'copy', '--from', '1', '--to', '2', '--repo', `file://${source.root}`, ...to, ...lock];
  const { status, stderr } = await run([WALHOLD, ...argv], { env });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
}

async function untilOf(admin: S3Client, key: string, version?: string): Promise<number> {
  const which = version === undefined ? {} : { VersionId: version };
  const head = await admin.send(new HeadObjectCommand({ Bucket: BUCKET, Key: key, ...which }));
  return head.ObjectLockRetainUntilDate?.getTime() ?? 0;
}

describe.each(servers)('walhold lock on $name', ({ start }) => {
  test('tells what is short, lengthens it, and says afterwards that nothing is', async () => {
    await using server = await start();
    await fill(server);
    const admin = adminClient(server);
    const calm = await json<LockStatusJson>(walhold(server, ['lock', 'status', '--json'], '1d'));
    expect(calm).toMatchObject({ exit: 0, ok: true });
    expect(calm.repositories[0]?.bucket).toMatchObject({ versioning: 'on', lockable: true });
    expect(calm.repositories[0]?.classes.wal).toMatchObject({ objects: 5, modes: { governance: 5 } });
    expect(calm.repositories[0]?.backups).toMatchObject([
      { id: BACKUP, needed: true, neededUntil: null, isHeld: false },
    ]);

    const short = await json<LockStatusJson>(walhold(server, ['lock', 'status', '--json']));
    expect(short).toMatchObject({ exit: 1, ok: false });
    expect(short.repositories[0]?.short.count).toBe(OBJECTS);

    const dry = await json<LockExtendJson>(walhold(server, ['lock', 'extend', '--dry-run', '--json']));
    expect(dry.repositories[0]).toMatchObject({ extended: { objects: OBJECTS }, record: null });
    expect(await untilOf(admin, keyOf(4))).toBeLessThan(Date.now() + 2 * DAY);

    const done = await json<LockExtendJson>(walhold(server, ['lock', 'extend', '--json']));
    expect(done).toMatchObject({ exit: 0, ok: true });
    expect(done.repositories[0]).toMatchObject({ extended: { objects: OBJECTS }, failed: { count: 0 } });
    expect(await untilOf(admin, keyOf(4))).toBeGreaterThan(Date.now() + 29 * DAY);
    expect(await untilOf(admin, 'main/walhold.json')).toBeGreaterThan(Date.now() + 29 * DAY);

    const text = await walhold(server, ['lock', 'status']);
    expect({ status: text.status, stderr: text.stderr }).toEqual({ status: 0, stderr: '' });
    expect(text.stdout).toContain(`${BACKUP}  no known end`);
    const nothing = await walhold(server, ['lock', 'extend']);
    expect(nothing.stdout).toMatch(/^repository 1: nothing to lengthen\n/);
    const list = await json<{ backups: { lockedUntil: string }[] }>(walhold(server, ['list', '--json']));
    expect(Date.parse(list.backups[0]?.lockedUntil ?? '')).toBeGreaterThan(Date.now() + 29 * DAY);
    admin.destroy();
  });

  test('names each trace of somebody else, and lengthens what was there first', async () => {
    await using server = await start();
    await fill(server);
    const admin = adminClient(server);
    const first = await admin.send(new ListObjectVersionsCommand({ Bucket: BUCKET, Prefix: keyOf(4) }));
    const ours = first.Versions?.[0]?.VersionId ?? '';
    await admin.send(new PutObjectCommand({ Bucket: BUCKET, Key: keyOf(4), Body: 'ransom', ...CHECKED }));
    await admin.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: keyOf(5) }));
    await admin.send(
      new PutObjectCommand({ Bucket: BUCKET, Key: 'main/lock/20990101T000000Z.json', Body: '{}', ...CHECKED }),
    );

    const extended = await walhold(server, ['lock', 'extend']);
    expect(extended.status).toBe(0);
    expect(extended.stderr).toContain('lock/20990101T000000Z.json in');
    expect(await untilOf(admin, keyOf(4), ours)).toBeGreaterThan(Date.now() + 29 * DAY);
    const status = await json<LockStatusJson>(walhold(server, ['lock', 'status', '--json']));
    expect(status).toMatchObject({ exit: 1, ok: false });
    expect(status.repositories[0]?.short.count).toBe(0);
    const traces = status.repositories[0]?.tampering.traces.map(({ kind, object }) => `${kind} main/${object}`);
    expect(traces).toEqual(
      expect.arrayContaining([
        `later-version ${keyOf(4)}`,
        `delete-marker ${keyOf(5)}`,
        'wrong-record main/lock/20990101T000000Z.json',
      ]),
    );
    admin.destroy();
  });

  test('holds a backup with all that it needs, and lets it go', async () => {
    await using server = await start();
    await fill(server);
    const admin = adminClient(server);
    const isHeld = async (key: string): Promise<boolean> => {
      try {
        const { LegalHold } = await admin.send(new GetObjectLegalHoldCommand({ Bucket: BUCKET, Key: key }));
        return LegalHold?.Status === 'ON';
      } catch (error) {
        if ((error as Error).name === 'NoSuchObjectLockConfiguration') return false;
        throw error;
      }
    };
    const needed = [keyOf(3), keyOf(4), 'main/walhold.json', `main/backup/${BACKUP}/backup.json`];
    expect(await walhold(server, ['lock', 'hold', BACKUP])).toMatchObject({ status: 0, stderr: '' });
    for (const key of needed) expect([key, await isHeld(key)]).toEqual([key, true]);
    expect(await isHeld(keyOf(5))).toBe(false);
    const status = await json<LockStatusJson>(walhold(server, ['lock', 'status', '--json'], '1d'));
    expect(status.repositories[0]?.backups).toMatchObject([{ id: BACKUP, isHeld: true }]);
    expect(await walhold(server, ['lock', 'release', BACKUP])).toMatchObject({ status: 0, stderr: '' });
    for (const key of needed) expect([key, await isHeld(key)]).toEqual([key, false]);
    admin.destroy();
  });
});

describe("walhold lock with a role's rights", () => {
  test('extends with what the policy for an extender grants, and not with what an archiver has', async () => {
    await using fake = await startFake();
    await fill(fake);
    for (const role of ['extender', 'archiver'] as const) {
      const printed = await walhold(fake, ['lock', 'policy', '--for', role]);
      fake.addKey(
        role,
        (JSON.parse(printed.stdout) as PolicyDocument).Statement.flatMap(({ Action }) => Action),
      );
    }
    const as = (accessKey: string): S3Access => ({
      endpoint: fake.endpoint,
      region: fake.region,
      accessKey,
      secretKey: fake.secretKey,
    });
    const extended = await walhold(as('extender'), ['lock', 'extend']);
    expect({ status: extended.status, stderr: extended.stderr }).toEqual({ status: 0, stderr: '' });
    const status = await json<LockStatusJson>(walhold(as('extender'), ['lock', 'status', '--json']));
    expect(status).toMatchObject({ exit: 0, ok: true });
    const held = await walhold(as('extender'), ['lock', 'hold', BACKUP]);
    expect(held.status).toBe(1);
    expect(held.stderr).toContain('PutObjectLegalHold');
  });
});

describe("README.md's commands for locks", () => {
  test('work in their order', async () => {
    await using fake = await startFake();
    await fill(fake);
    const lines = blocksFor(import.meta.url, 'commands').flatMap(({ text }) => text.trim().split('\n'));
    expect(lines.length).toBeGreaterThan(4);
    for (const line of lines) {
      const [program, ...words] = line.split(' ');
      expect(program).toBe('walhold');
      expect(await walhold(fake, words), line).toMatchObject({ status: 0, stderr: '' });
    }
  });

  test('follow settings that are a whole configuration', () => {
    const [block] = blocksFor(import.meta.url, 'walhold.conf');
    const readFile = (): string => `repo = 's3://my-bucket/main'\n${block?.text ?? ''}`;
    const { config } = loadConfig({ arguments: splitArguments(['--config', '/x'], {}), environment: {}, readFile });
    expect(config.repositories[0]).toMatchObject({
      lock: { mode: 'compliance', periodMs: 30 * DAY, maxMs: 90 * DAY },
      retention: { windowMs: 14 * DAY, fullBackups: 2 },
    });
  });
});

describe('walhold lock without locks', () => {
  test('extends nothing, and says what to set', async () => {
    await using stored = await FileRepository.create();
    const { status, stderr } = await run([WALHOLD, 'lock', 'extend', '--repo', `file://${stored.root}`]);
    expect(status).toBe(2);
    expect(stderr).toContain('walhold: hint: Set lock_mode and lock_period');
  });
});
