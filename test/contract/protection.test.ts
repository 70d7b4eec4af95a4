/** `check` and `wal resolve` on a strict S3, with the rights that each role has and no more. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { CheckJson } from '../../src/commands/check.ts';
import type { CheckItem } from '../../src/commands/check/check-item.ts';
import type { ResolveJson } from '../../src/commands/wal-resolve/resolve-report.ts';
import { formatIdentity } from '../../src/repository/identity.ts';
import { callCompanion, jsonOf } from '../support/companion-call.ts';
import { answers, asUsual } from '../support/fake-s3-faults.ts';
import type { FakeBucket, FakeBucketOptions } from '../support/fake-s3-bucket.ts';
import { FakeS3, type FakeS3Options } from '../support/fake-s3.ts';
import { SYSTEM_ID } from '../support/file-repository.ts';
import { nameOf, segmentBytes } from '../support/made-segments.ts';
import { preparedWal } from '../support/memory-repository.ts';

const ARCHIVER = ['s3:PutObject', 's3:GetObject', 's3:ListBucket', 's3:AbortMultipartUpload'];
const LOCKING = [...ARCHIVER, 's3:PutObjectRetention', 's3:GetObjectRetention', 's3:GetObjectVersion'];
const SEEING = [
  's3:GetBucketVersioning',
  's3:GetBucketObjectLockConfiguration',
  's3:GetLifecycleConfiguration',
  's3:ListBucketVersions',
];
const LOCK = ['--lock-mode', 'compliance', '--lock-period', '30d'];
const DAY_MS = 86_400_000;

let fake: FakeS3;
let bucket: FakeBucket;
afterEach(async () => {
  vi.unstubAllEnvs();
  await fake[Symbol.asyncDispose]();
});

async function start(
  options: FakeS3Options & { bucket?: FakeBucketOptions; rights?: readonly string[] },
): Promise<void> {
  fake = await FakeS3.start(options);
  bucket = fake.makeBucket('protected', options.bucket);
  const identity = { format: 1 as const, systemId: SYSTEM_ID, createdAt: '2026-01-01T00:00:00.000Z', by: 'a test' };
  bucket.add('main/walhold.json', formatIdentity(identity));
  if (options.rights !== undefined) fake.addKey('AKROLE', options.rights);
  be(options.rights === undefined ? fake.accessKey : 'AKROLE');
}

function be(accessKey: string): void {
  vi.stubEnv('AWS_ACCESS_KEY_ID', accessKey);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', fake.secretKey);
}

function places(): string[] {
  const at = ['--s3-endpoint', fake.endpoint, '--s3-region', fake.region, '--s3-path-style', 'on'];
  return ['--repo', 's3://protected/main', ...at];
}

/** The rows about the repository; the server, which there is none of, is not looked at. */
async function check(...flags: string[]): Promise<{ rows: Record<string, CheckItem>; wrong: string[] }> {
  const result = await callCompanion(['check', '--json', '-d', 'host=/nowhere', ...places(), ...flags]);
  if (result.stdout === '') throw new Error(result.stderr);
  const checks = jsonOf<CheckJson>(result).checks.filter(({ name }) => name.startsWith('repo '));
  return {
    rows: Object.fromEntries(checks.map((one) => [one.name.slice('repo '.length), one])),
    wrong: checks.filter(({ ok }) => !ok).map(({ name }) => name.slice('repo '.length)),
  };
}

describe('check on S3', () => {
  it('passes for an archiver that may add and look, on a bucket with versions, again and again', async () => {
    await start({ rights: ARCHIVER });
    expect((await check()).wrong).toEqual([]);
    const { rows, wrong } = await check();
    expect(wrong).toEqual([]);
    expect(rows['versioning']?.found).toBe('on');
    expect(rows['cannot delete']?.found).toBe('refused');
    expect(rows['cannot overwrite']?.hint).toContain('Advice');
    expect(rows['lifecycle rules']?.found).toContain('not to be seen');
  });

  it('passes with locks, and shows that the probe is locked', async () => {
    await start({ rights: [...LOCKING, ...SEEING], bucket: { lock: {}, demandsCondition: true } });
    const { rows, wrong } = await check(...LOCK);
    expect(wrong).toEqual([]);
    expect(rows['probe is locked']?.found).toMatch(/^compliance until /);
    expect(rows['cannot overwrite']).toMatchObject({ found: 'refused', hint: null });
    expect(bucket.current('main/walhold.probe')?.retention?.mode).toBe('COMPLIANCE');
  });

  it('says how objects are encrypted, and notices a key that the probe was not stored with', async () => {
    await start({ rights: ARCHIVER });
    expect((await check()).rows['encryption']).toMatchObject({ ok: true, found: 'AES256' });
    const { rows, wrong } = await check('--s3-kms-key', 'alias/backups');
    expect(wrong).toEqual(['encryption']);
    expect(rows['encryption']?.hint).toContain('newer');
  });

  it('shows the KMS key, and that what it encrypts can be read', async () => {
    await start({ rights: ARCHIVER });
    const { rows, wrong } = await check('--s3-kms-key', 'arn:aws:kms:eu-central-1:1:key/abc');
    expect(wrong).toEqual([]);
    expect(rows['encryption']?.found).toBe('aws:kms, key arn:aws:kms:eu-central-1:1:key/abc');
    // As S3 answers once the key is disabled: the listing is whole, and nothing can be read.
    fake.fail(asUsual, { operation: 'GetObject' });
    fake.fail(answers(400, 'KMS.DisabledException'), { operation: 'GetObject', times: 50 });
    const after = await check('--s3-kms-key', 'abc');
    expect(after.wrong).toContain('encryption');
    expect(after.rows['encryption']?.hint).toContain('s3_kms_key, its state');
  });

  const wrongs: [
    what: string,
    options: FakeS3Options & { bucket?: FakeBucketOptions; rights?: readonly string[] },
    row: RegExp,
    hint: RegExp,
  ][] = [
    [
      'a lock without a bucket that locks',
      { rights: [...LOCKING, ...SEEING] },
      /^object lock$/,
      /put-object-lock-configuration/,
    ],
    [
      'a lock without the right to lock',
      { rights: [...ARCHIVER, ...SEEING], bucket: { lock: {} } },
      /^can be written$/,
      /s3:PutObjectRetention/,
    ],
    [
      'a server that accepts locks, drops them, and lets nobody set them later',
      { rights: [...ARCHIVER, ...SEEING], bucket: { lock: {} }, ignores: ['locks', 'retention-right'] },
      /^can be written$/,
      /s3:PutObjectRetention|s3:GetObjectRetention/,
    ],
  ];
  it.each(wrongs)('names %s, with what mends it', async (_, options, row, hint) => {
    await start(options);
    const { rows, wrong } = await check(...LOCK);
    const named = wrong.filter((name) => row.test(name));
    expect(named, wrong.join(', ')).toHaveLength(1);
    expect(rows[named[0] ?? '']?.hint).toMatch(hint);
  });

  it('names a bucket without versions where overwriting is not refused, and rules that delete', async () => {
    const rule =
      '<Rule><ID>tidy</ID><Status>Enabled</Status><Filter><Prefix></Prefix></Filter><Expiration><Days>7</Days></Expiration></Rule>';
    await start({ rights: [...ARCHIVER, ...SEEING], bucket: { versioning: 'off', lifecycle: rule } });
    const { rows, wrong } = await check();
    expect(wrong).toEqual(['lifecycle rules', 'cannot overwrite']);
    expect(rows['lifecycle rules']?.found).toContain('tidy');
    expect(rows['versioning']?.hint).toContain('put-bucket-versioning');
  });

  it('names a default that is too short where the bucket must lock', async () => {
    const lock = { byDefault: { mode: 'COMPLIANCE' as const, days: 7 } };
    await start({ rights: [...LOCKING, ...SEEING], bucket: { lock } });
    const { rows, wrong } = await check('--lock-mode', 'bucket', '--lock-period', '30d');
    expect(wrong).toContain('default retention');
    expect(rows['default retention']).toMatchObject({ found: 'compliance for 7d' });
    expect(rows['default retention']?.hint).toContain('"Days":30');
  });

  it('names credentials that may delete, and a clock that is far away', async () => {
    await start({ skewMs: 400_000 });
    expect((await check()).wrong).toEqual(['cannot delete', 'clock of the store']);
    // What it deleted is made anew, and no reader calls it tampering.
    expect((await check()).wrong).toEqual(['cannot delete', 'clock of the store']);
    const verified = await callCompanion(['verify', ...places()]);
    expect(verified).toMatchObject({ status: 0, stderr: '' });
  });
});

describe('resolving on S3', () => {
  const name = nameOf(5);
  const wal = preparedWal(name, segmentBytes(5));
  const key = `main/${wal.key}`;
  const resolve = async (...flags: string[]): Promise<ResolveJson> =>
    jsonOf(await callCompanion(['wal', 'resolve', name, '--json', ...places(), ...flags]));

  beforeEach(async () => {
    await start({ rights: [...LOCKING, ...SEEING], bucket: { lock: {} } });
  });

  it('removes what somebody put before the segment, with credentials that may', async () => {
    const junk = bucket.add(key, Buffer.from('squatted')).id;
    const ours = bucket.add(key, Buffer.from(wal.encoded.bytes)).id;
    const refused = await resolve();
    expect(refused).toMatchObject({
      resolved: true,
      stored: [
        { id: junk, action: 'denied' },
        { id: ours, action: 'kept' },
      ],
    });
    be(fake.accessKey);
    expect(await resolve('--dry-run')).toMatchObject({ stored: [{ id: junk, action: 'would-remove' }, {}] });
    expect(await resolve()).toMatchObject({
      stored: [
        { id: junk, action: 'removed' },
        { id: ours, action: 'kept' },
      ],
    });
    expect(bucket.versions.get(key)?.map(({ id }) => id)).toEqual([ours]);
  });

  it('frees a name that locked junk holds: a copy from elsewhere can be pushed, and is read', async () => {
    const until = new Date(Date.now() + DAY_MS);
    bucket.add(key, Buffer.from('squatted'), { retention: { mode: 'COMPLIANCE', until } });
    be(fake.accessKey);
    const { stored } = await resolve();
    expect(stored).toMatchObject([{ authentic: false, action: 'kept', lock: { mode: 'compliance' } }]);
    const named = await resolve('--remove', stored[0]?.id ?? '');
    expect(named).toMatchObject({ resolved: true, stored: [{ action: 'hidden' }] });
    expect(named.stored[0]?.note).toContain('locked until');
    expect(bucket.isHidden(key)).toBe(true);
    bucket.add(key, Buffer.from(wal.encoded.bytes));
    expect((await callCompanion(['wal', 'inspect', name, ...places()])).stdout).toMatch(/fits its name: +yes/);
    expect(await resolve()).toMatchObject({ resolved: true });
  });
});
