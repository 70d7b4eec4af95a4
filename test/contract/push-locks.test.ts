/** A push into a bucket that locks, from one call to the next. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { SILENT } from '../../src/base/log.ts';
import type { CheckItem } from '../../src/commands/check/check-item.ts';
import { sentLocksCheck } from '../../src/commands/check/sent-locks.ts';
import type { HookContext } from '../../src/commands/hook-context.ts';
import { pushEverywhere } from '../../src/commands/push-everywhere.ts';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { openSpool } from '../../src/spool/spool.ts';
import type { FakeBucket, FakeBucketOptions } from '../support/fake-s3-bucket.ts';
import { FakeS3, type FakeS3Options } from '../support/fake-s3.ts';
import { nameOf, segmentBytes } from '../support/made-segments.ts';
import { preparedWal } from '../support/memory-repository.ts';

let fake: FakeS3;
let bucket: FakeBucket;
let top: string;
let warnings: string[];
beforeEach(async () => {
  warnings = [];
  top = await mkdtemp(join(tmpdir(), 'walhold-push-locks-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await fake[Symbol.asyncDispose]();
  await rm(top, { recursive: true, force: true });
});

async function start(options: FakeS3Options = {}, about: FakeBucketOptions = { lock: {} }): Promise<void> {
  fake = await FakeS3.start(options);
  bucket = fake.makeBucket('locked', about);
  vi.stubEnv('AWS_ACCESS_KEY_ID', fake.accessKey);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', fake.secretKey);
}

function configOf(settings: Readonly<Record<string, string>> = {}): Config {
  const environment = {
    WALHOLD_REPO: 's3://locked/main',
    WALHOLD_S3_ENDPOINT: fake.endpoint,
    WALHOLD_S3_REGION: fake.region,
    WALHOLD_S3_PATH_STYLE: 'on',
    WALHOLD_LOCK_MODE: 'compliance',
    WALHOLD_LOCK_PERIOD: '30d',
    WALHOLD_SPOOL_PATH: join(top, 'spool'),
    ...settings,
  };
  return loadConfig({ arguments: { configFile: undefined, flags: new Map() }, environment, readFile: () => '' }).config;
}

/** What check says of the locks that pushes sent along. */
async function sentLocks(): Promise<Partial<CheckItem>[]> {
  const config = configOf();
  const [{ number, store: settings, lock }] = config.repositories;
  return await sentLocksCheck({ config, log: SILENT, clock: systemClock }, { number, settings, lock }, top);
}

/** One call, as PostgreSQL makes it; answers what it asked of the store. */
async function push(segno: number, settings: Readonly<Record<string, string>> = {}): Promise<string[]> {
  const config = configOf(settings);
  const log = { ...SILENT, warning: (message: string) => void warnings.push(message) };
  const context: HookContext = {
    config,
    log,
    clock: systemClock,
    random: Math.random,
    signal: new AbortController().signal,
    callers: () => [],
    workingDirectory: top,
    argv: [],
    environment: {},
    waitedMs: 0,
    startWorker: () => Promise.resolve(),
    by: 'a test',
  };
  const spool = await openSpool(join(top, 'spool'), log, systemClock.now());
  fake.requests.length = 0;
  await pushEverywhere(preparedWal(nameOf(segno), segmentBytes(segno)), spool, context);
  return fake.requests.filter((operation) => operation !== 'ListObjectVersions');
}

describe('a push that locks', () => {
  it('looks at the lock of the first object, and believes the next ones for a day', async () => {
    await start();
    expect(await sentLocks()).toEqual([]);
    const first = await push(4);
    expect(first.filter((one) => one === 'HeadObject' || one === 'GetObjectRetention')).not.toEqual([]);
    expect(await push(5)).toEqual(['GetObject', 'PutObject']);
    expect(await sentLocks()).toMatchObject([{ name: 'repo locks sent along', ok: true, found: 'kept', hint: null }]);
    // Other settings are another matter.
    expect((await push(6, { WALHOLD_LOCK_PERIOD: '31d' })).length).toBeGreaterThan(2);
    for (const [key, [version]] of bucket.versions)
      expect([key, version?.retention?.mode]).toEqual([key, 'COMPLIANCE']);
  });

  it('sets each lock anew where the server drops them, and remembers that too', async () => {
    await start({ ignores: ['locks'] });
    await push(4);
    const next = await push(5);
    expect(next).toContain('PutObjectRetention');
    expect(next).not.toContain('HeadObject');
    const [row] = await sentLocks();
    expect(row?.found).toBe('dropped by the store, and set afterwards');
    expect(row?.hint).toContain('walhold lock status');
    for (const [key, [version]] of bucket.versions)
      expect([key, version?.retention?.mode]).toEqual([key, 'COMPLIANCE']);
  });

  it('fails, naming the object and what to do, where no lock can be had', async () => {
    await start({}, {});
    await expect(push(4)).rejects.toMatchObject({
      code: 'unlocked',
      message: expect.stringContaining('s3://locked/main/') as string,
      hint: expect.stringContaining('put-object-lock-configuration') as string,
    });
  });

  it('fails for what is there already and cannot be locked', async () => {
    // Where lock headers need no right of their own, the write is not refused for them.
    await start({ ignores: ['retention-right'] });
    await push(4, { WALHOLD_LOCK_MODE: 'none' });
    fake.addKey('AKNOLOCK', ['s3:PutObject', 's3:GetObject', 's3:ListBucket', 's3:GetObjectRetention']);
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKNOLOCK');
    await expect(push(4)).rejects.toMatchObject({
      code: 'unlocked',
      message: expect.stringContaining(nameOf(4)) as string,
    });
    vi.stubEnv('AWS_ACCESS_KEY_ID', fake.accessKey);
    await push(4);
    const key = [...bucket.versions.keys()].find((one) => one.includes(nameOf(4))) ?? '';
    expect(bucket.current(key)?.retention?.mode).toBe('COMPLIANCE');
  });

  it('warns once of a clock that is far away', async () => {
    await start({ skewMs: 400_000 });
    await push(4);
    expect(warnings).toEqual(['the clocks of this machine and of a store are more than five minutes apart']);
  });
});
