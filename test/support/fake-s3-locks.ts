import { crc32 } from 'node:zlib';
import type { FakeS3 } from './fake-s3.ts';
import { md5, type FakeBucket, type FakeRetention, type FakeVersion } from './fake-s3-bucket.ts';
import { refuse, tag, xml, type Refusal, type S3Reply, type S3Request } from './fake-s3-messages.ts';
import { requireRight, type Caller } from './fake-s3-rights.ts';

export type FakeLock = Pick<FakeVersion, 'retention' | 'hold'>;

const MODE = 'x-amz-object-lock-mode';
const DATE = 'x-amz-object-lock-retain-until-date';
const HOLD = 'x-amz-object-lock-legal-hold';

/** What the headers of a write ask for, refused as AWS refuses it. */
export function lockAsked(fake: FakeS3, bucket: FakeBucket, { headers }: S3Request, caller: Caller): FakeLock {
  const { [MODE]: mode, [DATE]: date, [HOLD]: hold } = headers;
  if (mode === undefined && date === undefined && hold === undefined) return {};
  if (fake.breaks('locks')) return {};
  if (mode !== undefined && !fake.breaks('retention-right')) requireRight(caller, 's3:PutObjectRetention');
  if (hold !== undefined) requireRight(caller, 's3:PutObjectLegalHold');
  requireLockable(bucket);
  const retention = mode === undefined && date === undefined ? undefined : retentionOf(fake, mode, date);
  return { retention, hold: hold === undefined ? undefined : holdOf(hold) };
}

/** A new version's own lock: what was asked for, else the bucket's default, counted from its creation. */
export function lockOfNew(bucket: FakeBucket, asked: FakeLock, storedAt: Date): FakeLock {
  const byDefault = bucket.options.lock?.byDefault;
  if (asked.retention !== undefined || byDefault === undefined) return asked;
  const until = new Date(storedAt.getTime() + byDefault.days * 86_400_000);
  return { ...asked, retention: { mode: byDefault.mode, until } };
}

/** Only for those who may see them; else they are missing without a word. */
export function lockHeaders(version: FakeVersion, caller: Caller): Record<string, string> {
  const { retention, hold } = version;
  return {
    ...(retention === undefined || !caller.may('s3:GetObjectRetention')
      ? {}
      : { [MODE]: retention.mode, [DATE]: retention.until.toISOString() }),
    ...(hold === undefined || !caller.may('s3:GetObjectLegalHold') ? {} : { [HOLD]: hold }),
  };
}

export function getRetention(bucket: FakeBucket, request: S3Request, caller: Caller): S3Reply {
  const { retention } = versionToLock(bucket, request, caller);
  if (retention === undefined) throw refuse(404, 'NoSuchObjectLockConfiguration');
  const body = tag('Mode', retention.mode) + tag('RetainUntilDate', retention.until.toISOString());
  return { status: 200, body: xml('Retention', body) };
}

export function putRetention(fake: FakeS3, bucket: FakeBucket, request: S3Request, caller: Caller): S3Reply {
  checkSum(request);
  const version = versionToLock(bucket, request, caller);
  const wanted = retentionOf(fake, valueOf(request, 'Mode'), valueOf(request, 'RetainUntilDate'));
  const now = bucket.now();
  const held = version.retention;
  if (held !== undefined && held.until > now && !fake.breaks('shortening')) {
    const weaker = held.mode === 'COMPLIANCE' && wanted.mode === 'GOVERNANCE';
    const bypassed = held.mode === 'GOVERNANCE' && request.headers['x-amz-bypass-governance-retention'] === 'true';
    if ((weaker || wanted.until < held.until) && !bypassed) throw protectedByLock();
  }
  version.retention = wanted;
  return { status: 200 };
}

export function getHold(bucket: FakeBucket, request: S3Request, caller: Caller): S3Reply {
  const { hold } = versionToLock(bucket, request, caller);
  if (hold === undefined) throw refuse(404, 'NoSuchObjectLockConfiguration');
  return { status: 200, body: xml('LegalHold', tag('Status', hold)) };
}

export function putHold(bucket: FakeBucket, request: S3Request, caller: Caller): S3Reply {
  checkSum(request);
  versionToLock(bucket, request, caller).hold = holdOf(valueOf(request, 'Status'));
  return { status: 200 };
}

/** Deletes a name (with a marker, where versions are kept) or one version, unless its lock stands against it. */
export function deleteObject(bucket: FakeBucket, { key, query, headers }: S3Request): S3Reply {
  const bypass = headers['x-amz-bypass-governance-retention'] === 'true';
  if (bypass && bucket.options.lock === undefined) throw refuse(400, 'InvalidArgument');
  const id = query.get('versionId');
  if (id === null) {
    const marker = bucket.hide(key);
    if (marker === undefined) return { status: 204 };
    return { status: 204, headers: { 'x-amz-delete-marker': 'true', 'x-amz-version-id': marker.id } };
  }
  const version = bucket.version(key, id);
  const { retention, hold } = version ?? {};
  const retained = retention !== undefined && retention.until > bucket.now();
  if (hold === 'ON' || (retained && !(bypass && retention.mode === 'GOVERNANCE'))) throw protectedByLock();
  bucket.remove(key, id);
  return { status: 204, headers: { 'x-amz-version-id': id } };
}

function protectedByLock(): Refusal {
  return refuse(403, 'AccessDenied', { message: 'Access Denied because object protected by object lock.' });
}

function requireLockable(bucket: FakeBucket): void {
  if (bucket.options.lock !== undefined) return;
  throw refuse(400, 'InvalidRequest', { message: 'Bucket is missing Object Lock Configuration' });
}

function versionToLock(bucket: FakeBucket, { key, query }: S3Request, caller: Caller): FakeVersion {
  requireLockable(bucket);
  const id = query.get('versionId');
  const version = id === null ? bucket.versions.get(key)?.at(-1) : bucket.version(key, id);
  if (version === undefined) {
    requireRight(caller, 's3:ListBucket');
    throw refuse(404, id === null ? 'NoSuchKey' : 'NoSuchVersion');
  }
  if (version.bytes === undefined) {
    throw refuse(405, 'MethodNotAllowed', { headers: { 'x-amz-delete-marker': 'true' } });
  }
  return version;
}

function retentionOf(fake: FakeS3, mode: string | undefined, date: string | undefined): FakeRetention {
  if (mode !== 'GOVERNANCE' && mode !== 'COMPLIANCE') throw refuse(400, 'InvalidArgument');
  const until = new Date(date ?? '');
  if (Number.isNaN(until.getTime()) || until <= fake.now()) throw refuse(400, 'InvalidArgument');
  return { mode, until };
}

function holdOf(status: string | undefined): 'ON' | 'OFF' {
  if (status !== 'ON' && status !== 'OFF') throw refuse(400, 'InvalidArgument');
  return status;
}

function valueOf({ body }: S3Request, name: string): string | undefined {
  return new RegExp(`<${name}>(.*?)</${name}>`).exec(body.toString())?.[1];
}

/** Locks are set by bodies that must come with a sum. */
function checkSum({ headers, body }: S3Request): void {
  const sum = headers['x-amz-checksum-crc32'];
  const digest = headers['content-md5'];
  if (sum === undefined && digest === undefined) throw refuse(400, 'InvalidRequest');
  const expected = Buffer.alloc(4);
  expected.writeUInt32BE(crc32(body));
  if (sum !== undefined && sum !== expected.toString('base64')) throw refuse(400, 'BadDigest');
  if (digest !== undefined && Buffer.from(digest, 'base64').toString('hex') !== md5(body)) {
    throw refuse(400, 'BadDigest');
  }
}
