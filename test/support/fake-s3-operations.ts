import type { FakeS3 } from './fake-s3.ts';
import { crc32cText, md5, type FakeBucket, type FakeVersion } from './fake-s3-bucket.ts';
import { listing } from './fake-s3-listing.ts';
import { refuse, type S3Reply, type S3Request } from './fake-s3-messages.ts';
import { abortUpload, beginUpload, completeUpload, uploadPart } from './fake-s3-multipart.ts';
import type { Operation } from './fake-s3-routes.ts';

/** Carries out one request, or throws a `Refusal`. */
export function respond(fake: FakeS3, operation: Operation, request: S3Request): S3Reply {
  const bucket = fake.buckets.get(request.bucket);
  if (bucket === undefined) throw refuse(404, 'NoSuchBucket');
  switch (operation) {
    case 'PutObject':
      return putObject(fake, bucket, request);
    case 'GetObject':
    case 'HeadObject':
      return getObject(fake, bucket, request);
    case 'DeleteObject':
      bucket.hide(request.key);
      return { status: 204, headers: { 'x-amz-delete-marker': 'true' } };
    case 'ListObjectsV2':
      return listing(bucket, request.query, fake.options.pageKeys ?? 1000);
    case 'CreateMultipartUpload':
      return beginUpload(bucket, request);
    case 'UploadPart':
      return uploadPart(fake, bucket, request);
    case 'CompleteMultipartUpload':
      return completeUpload(fake, bucket, request);
    case 'AbortMultipartUpload':
      return abortUpload(bucket, request);
  }
}

function putObject(fake: FakeS3, bucket: FakeBucket, request: S3Request): S3Reply {
  checkBody(fake, request);
  checkCondition(fake, bucket, request);
  const version = bucket.add(request.key, request.body, { headers: request.headers });
  return { status: 200, headers: versionHeaders(version) };
}

/** `If-None-Match` on a write: only `*`, and judged by the current version. */
export function checkCondition(fake: FakeS3, bucket: FakeBucket, { headers, key }: S3Request): void {
  const condition = headers['if-none-match'];
  if (condition === undefined || fake.options.ignores?.includes('conditions') === true) return;
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
  if (fake.options.ignores?.includes('checksums') !== true && sum !== crc32cText(body)) throw refuse(400, 'BadDigest');
  const digest = headers['content-md5'];
  if (digest !== undefined && Buffer.from(digest, 'base64').toString('hex') !== md5(body))
    throw refuse(400, 'BadDigest');
}

function getObject(fake: FakeS3, bucket: FakeBucket, { key, headers }: S3Request): S3Reply {
  const version = bucket.current(key);
  if (version?.bytes === undefined) {
    throw refuse(404, 'NoSuchKey', bucket.isHidden(key) ? { headers: { 'x-amz-delete-marker': 'true' } } : {});
  }
  const { bytes } = version;
  const shown: Record<string, string> = {
    ...versionHeaders(version),
    'last-modified': version.storedAt.toUTCString(),
    'accept-ranges': 'bytes',
    ...(headers['x-amz-checksum-mode'] === 'ENABLED' ? checksumHeaders(version, bytes) : {}),
  };
  const range = fake.options.ignores?.includes('ranges') === true ? undefined : headers['range'];
  if (range === undefined) return { status: 200, headers: shown, body: bytes };
  const { from, to } = rangeOf(range, bytes.byteLength);
  const part = bytes.subarray(from, to + 1);
  return { status: 206, headers: { ...shown, 'content-range': `bytes ${from}-${to}/${bytes.byteLength}` }, body: part };
}

function rangeOf(header: string, size: number): { from: number; to: number } {
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(header) ?? [];
  const from = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const to = first === '' || last === '' ? size - 1 : Math.min(size - 1, Number(last));
  if (from >= size || to < from) throw refuse(416, 'InvalidRange');
  return { from, to };
}

export function versionHeaders(version: FakeVersion): Record<string, string> {
  return { etag: version.etag, 'x-amz-version-id': version.id };
}

function checksumHeaders(version: FakeVersion, bytes: Buffer): Record<string, string> {
  return { 'x-amz-checksum-crc32c': crc32cText(bytes), 'x-amz-checksum-type': version.checksumType };
}
