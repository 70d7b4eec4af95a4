import type { FakeS3 } from './fake-s3.ts';
import { crc32cText, md5, type FakeBucket, type FakeVersion } from './fake-s3-bucket.ts';
import { deleteObjects } from './fake-s3-delete-objects.ts';
import { lifecycleAnswer, lockConfigurationAnswer, versioningAnswer } from './fake-s3-configuration.ts';
import { listing } from './fake-s3-listing.ts';
import {
  deleteObject,
  getHold,
  getRetention,
  lockAsked,
  lockHeaders,
  lockOfNew,
  putHold,
  putRetention,
} from './fake-s3-locks.ts';
import { refuse, type S3Reply, type S3Request } from './fake-s3-messages.ts';
import { abortUpload, beginUpload, completeUpload, uploadPart } from './fake-s3-multipart.ts';
import { checkRights, requireRight, type Caller } from './fake-s3-rights.ts';
import type { Operation } from './fake-s3-routes.ts';
import { versionListing } from './fake-s3-version-listing.ts';

/** Carries out one request, or throws a `Refusal`. */
export function respond(fake: FakeS3, operation: Operation, request: S3Request, caller: Caller): S3Reply {
  const bucket = fake.buckets.get(request.bucket);
  if (bucket === undefined) throw refuse(404, 'NoSuchBucket');
  checkRights(caller, operation, request);
  const pageKeys = fake.options.pageKeys ?? 1000;
  switch (operation) {
    case 'PutObject':
      return putObject(fake, bucket, request, caller);
    case 'GetObject':
    case 'HeadObject':
      return getObject(fake, bucket, request, caller);
    case 'DeleteObject':
      return deleteObject(bucket, request);
    case 'DeleteObjects':
      return deleteObjects(fake, bucket, request, caller);
    case 'ListObjectsV2':
      return listing(bucket, request.query, pageKeys);
    case 'ListObjectVersions':
      return versionListing(fake, bucket, request.query);
    case 'CreateMultipartUpload':
      return beginUpload(fake, bucket, request, caller);
    case 'UploadPart':
      return uploadPart(fake, bucket, request);
    case 'CompleteMultipartUpload':
      return completeUpload(fake, bucket, request);
    case 'AbortMultipartUpload':
      return abortUpload(bucket, request);
    case 'GetObjectRetention':
      return getRetention(bucket, request, caller);
    case 'PutObjectRetention':
      return putRetention(fake, bucket, request, caller);
    case 'GetObjectLegalHold':
      return getHold(bucket, request, caller);
    case 'PutObjectLegalHold':
      return putHold(bucket, request, caller);
    case 'GetBucketVersioning':
      return versioningAnswer(bucket);
    case 'GetObjectLockConfiguration':
      return lockConfigurationAnswer(bucket);
    case 'GetBucketLifecycleConfiguration':
      return lifecycleAnswer(bucket);
  }
}

function putObject(fake: FakeS3, bucket: FakeBucket, request: S3Request, caller: Caller): S3Reply {
  if (bucket.options.demandsCondition === true && request.headers['if-none-match'] === undefined) {
    throw refuse(403, 'AccessDenied');
  }
  const lock = lockAsked(fake, bucket, request, caller);
  checkBody(fake, request);
  checkCondition(fake, bucket, request);
  const version = bucket.add(request.key, request.body, { headers: request.headers });
  Object.assign(version, lockOfNew(bucket, lock, version.storedAt));
  return { status: 200, headers: versionHeaders(bucket, version) };
}

/** `If-None-Match` on a write: only `*`, and judged by the current version. */
export function checkCondition(fake: FakeS3, bucket: FakeBucket, { headers, key }: S3Request): void {
  const condition = headers['if-none-match'];
  if (condition === undefined || fake.breaks('conditions')) return;
  if (condition !== '*' || headers['if-match'] !== undefined) throw refuse(501, 'NotImplemented');
  if (bucket.current(key) === undefined) return;
  throw refuse(412, 'PreconditionFailed', { xml: '<Condition>If-None-Match</Condition>' });
}

/** Length and checksum, and that the value comes with its algorithm. */
export function checkBody(fake: FakeS3, { headers, body }: S3Request): void {
  if (headers['content-length'] === undefined) throw refuse(411, 'MissingContentLength');
  const sum = headers['x-amz-checksum-crc32c'];
  if (sum === undefined) throw refuse(400, 'InvalidRequest');
  if (headers['x-amz-sdk-checksum-algorithm'] !== 'CRC32C') throw refuse(400, 'InvalidRequest');
  if (!fake.breaks('checksums') && sum !== crc32cText(body)) throw refuse(400, 'BadDigest');
  const digest = headers['content-md5'];
  if (digest !== undefined && Buffer.from(digest, 'base64').toString('hex') !== md5(body))
    throw refuse(400, 'BadDigest');
}

function getObject(fake: FakeS3, bucket: FakeBucket, { key, query, headers }: S3Request, caller: Caller): S3Reply {
  const version = versionAsked(bucket, key, query.get('versionId'), caller);
  const bytes = version.bytes ?? Buffer.alloc(0);
  const shown: Record<string, string> = {
    ...versionHeaders(bucket, version),
    ...lockHeaders(version, caller),
    ...encryptionHeaders(version),
    'last-modified': version.storedAt.toUTCString(),
    'accept-ranges': 'bytes',
    ...(headers['x-amz-checksum-mode'] === 'ENABLED' ? checksumHeaders(version, bytes) : {}),
  };
  const range = fake.breaks('ranges') ? undefined : headers['range'];
  if (range === undefined) return { status: 200, headers: shown, body: bytes };
  const { from, to } = rangeOf(range, bytes.byteLength);
  const part = bytes.subarray(from, to + 1);
  return { status: 206, headers: { ...shown, 'content-range': `bytes ${from}-${to}/${bytes.byteLength}` }, body: part };
}

/** What is missing is only told to who may list. */
function versionAsked(bucket: FakeBucket, key: string, id: string | null, caller: Caller): FakeVersion {
  const version = id === null ? bucket.current(key) : bucket.version(key, id);
  if (version?.bytes !== undefined) return version;
  const marked = { headers: { 'x-amz-delete-marker': 'true' } };
  if (version !== undefined) throw refuse(405, 'MethodNotAllowed', marked);
  requireRight(caller, 's3:ListBucket');
  if (id !== null) throw refuse(404, 'NoSuchVersion');
  throw refuse(404, 'NoSuchKey', bucket.isHidden(key) ? marked : {});
}

function rangeOf(header: string, size: number): { from: number; to: number } {
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(header) ?? [];
  const from = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const to = first === '' || last === '' ? size - 1 : Math.min(size - 1, Number(last));
  if (from >= size || to < from) throw refuse(416, 'InvalidRange');
  return { from, to };
}

/** A bucket that never kept versions does not speak of them. */
/** S3 says so of each object; one that no key is named for it encrypts with its own. */
function encryptionHeaders({ headers }: FakeVersion): Record<string, string> {
  const { 'x-amz-server-side-encryption': method = 'AES256', 'x-amz-server-side-encryption-aws-kms-key-id': key } =
    headers;
  return {
    'x-amz-server-side-encryption': method,
    ...(key === undefined ? {} : { 'x-amz-server-side-encryption-aws-kms-key-id': key }),
  };
}

export function versionHeaders(bucket: FakeBucket, version: FakeVersion): Record<string, string> {
  const named = bucket.options.versioning === 'off' ? {} : { 'x-amz-version-id': version.id };
  return { etag: version.etag, ...named };
}

function checksumHeaders(version: FakeVersion, bytes: Buffer): Record<string, string> {
  return { 'x-amz-checksum-crc32c': crc32cText(bytes), 'x-amz-checksum-type': version.checksumType };
}
