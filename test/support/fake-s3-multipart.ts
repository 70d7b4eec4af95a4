import type { FakeS3 } from './fake-s3.ts';
import { crc32cText, md5, type FakeBucket, type FakeUpload } from './fake-s3-bucket.ts';
import { refuse, tag, xml, type S3Reply, type S3Request } from './fake-s3-messages.ts';
import { lockAsked, lockOfNew } from './fake-s3-locks.ts';
import { checkBody, checkCondition, versionHeaders } from './fake-s3-operations.ts';
import type { Caller } from './fake-s3-rights.ts';

export function beginUpload(fake: FakeS3, bucket: FakeBucket, request: S3Request, caller: Caller): S3Reply {
  const { key, headers } = request;
  if (headers['x-amz-checksum-algorithm'] !== 'CRC32C' || headers['x-amz-checksum-type'] !== 'FULL_OBJECT') {
    throw refuse(400, 'InvalidRequest');
  }
  const lock = fake.breaks('locks-of-streams') ? {} : lockAsked(fake, bucket, request, caller);
  const id = bucket.begin(key, headers, lock);
  return { status: 200, body: xml('InitiateMultipartUploadResult', tag('UploadId', id)) };
}

export function uploadPart(fake: FakeS3, bucket: FakeBucket, request: S3Request): S3Reply {
  const upload = uploadOf(bucket, request);
  const number = Number(request.query.get('partNumber'));
  if (!Number.isInteger(number) || number < 1 || number > 10_000) throw refuse(400, 'InvalidArgument');
  checkBody(fake, request);
  const part = { bytes: request.body, etag: `"${md5(request.body)}"`, sum: crc32cText(request.body) };
  upload.parts.set(number, part);
  return { status: 200, headers: { etag: part.etag, 'x-amz-checksum-crc32c': part.sum } };
}

export function completeUpload(fake: FakeS3, bucket: FakeBucket, request: S3Request): S3Reply {
  const upload = uploadOf(bucket, request);
  checkCondition(fake, bucket, request);
  const parts = listedParts(request.body).map((listed, at, all) => {
    const part = upload.parts.get(listed.number);
    if (listed.number <= (all[at - 1]?.number ?? 0)) throw refuse(400, 'InvalidPartOrder');
    if (part?.etag !== listed.etag || part.sum !== listed.sum) throw refuse(400, 'InvalidPart');
    const least = fake.options.leastPartBytes ?? 5 * 1024 * 1024;
    if (at < all.length - 1 && part.bytes.byteLength < least) throw refuse(400, 'EntityTooSmall');
    return part.bytes;
  });
  if (parts.length === 0) throw refuse(400, 'MalformedXML');
  const bytes = Buffer.concat(parts);
  if (request.headers['x-amz-checksum-type'] !== 'FULL_OBJECT') throw refuse(400, 'InvalidRequest');
  if (request.headers['x-amz-checksum-crc32c'] !== crc32cText(bytes)) throw refuse(400, 'BadDigest');
  bucket.uploads.delete(request.query.get('uploadId') ?? '');
  const etag = `"${md5(bytes)}-${parts.length}"`;
  // AWS dates an object of several parts by its beginning.
  const { begunAt: storedAt, headers } = upload;
  const lock = lockOfNew(bucket, upload.lock, storedAt);
  const version = bucket.add(upload.key, bytes, { etag, storedAt, headers, ...lock });
  const body = xml('CompleteMultipartUploadResult', tag('Key', upload.key) + tag('ETag', etag));
  return { status: 200, headers: versionHeaders(bucket, version), body };
}

export function abortUpload(bucket: FakeBucket, request: S3Request): S3Reply {
  uploadOf(bucket, request);
  bucket.uploads.delete(request.query.get('uploadId') ?? '');
  return { status: 204 };
}

function uploadOf(bucket: FakeBucket, { key, query }: S3Request): FakeUpload {
  const upload = bucket.uploads.get(query.get('uploadId') ?? '');
  if (upload?.key !== key) throw refuse(404, 'NoSuchUpload');
  return upload;
}

function listedParts(body: Buffer): { number: number; etag: string; sum: string }[] {
  const value = (part: string, name: string): string =>
    (new RegExp(`<${name}>(.*?)</${name}>`, 's').exec(part)?.[1] ?? '').replaceAll('&quot;', '"');
  return [...body.toString().matchAll(/<Part>(.*?)<\/Part>/gs)].map(([, part = '']) => ({
    number: Number(value(part, 'PartNumber')),
    etag: value(part, 'ETag'),
    sum: value(part, 'ChecksumCRC32C'),
  }));
}
