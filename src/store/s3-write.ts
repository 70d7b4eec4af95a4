import {
  PutObjectCommand,
  type PutObjectCommandInput,
  type S3Client,
  type ServerSideEncryption,
  type StorageClass,
} from '@aws-sdk/client-s3';
import { addCrc32c, checksumText } from './checksum.ts';
import { isTaken } from './s3-errors.ts';
import type { LockAsked, S3LockAsk } from './s3-lock-ask.ts';
import { notS3, type S3Place } from './s3-place.ts';

/** What an object is stored with. */
export interface S3ObjectOptions {
  kmsKey?: string;
  storageClass?: string;
  lock?: S3LockAsk;
}

/** A version that a request of ours has made. */
export interface Written {
  /** Absent where the server names none. */
  version: string | undefined;
  lock: LockAsked | undefined;
}

/** The same headers for a single request and for the beginning of a multipart upload. */
export function objectHeaders(options: S3ObjectOptions, asked: LockAsked | undefined): ObjectHeaders {
  const { kmsKey, storageClass } = options;
  return {
    ...asked?.headers,
    ContentType: 'application/octet-stream',
    ...(kmsKey === undefined ? {} : { ServerSideEncryption: 'aws:kms' as ServerSideEncryption, SSEKMSKeyId: kmsKey }),
    ...(storageClass === undefined ? {} : { StorageClass: storageClass as StorageClass }),
  };
}

type ObjectHeaders = Pick<
  PutObjectCommandInput,
  | 'ServerSideEncryption'
  | 'SSEKMSKeyId'
  | 'StorageClass'
  | 'ContentType'
  | 'ObjectLockMode'
  | 'ObjectLockRetainUntilDate'
>;

/**
 * One conditional PutObject. The store compares the bytes with the sum before the object exists. A conflict with another request
 * under way (409) is `unreachable`: the same request may be sent again.
 */
export async function putObject(
  client: S3Client,
  place: S3Place,
  key: string,
  bytes: Uint8Array,
  options: S3ObjectOptions & { signal: AbortSignal; sum?: number },
): Promise<Written | 'exists'> {
  const { signal, sum = addCrc32c(0, bytes) } = options;
  const what = `store ${place.url}/${key}`;
  const lock = options.lock?.now();
  const command = new PutObjectCommand({
    Bucket: place.bucket,
    Key: place.keyOf(key),
    Body: bytes,
    ContentLength: bytes.byteLength,
    IfNoneMatch: '*',
    ChecksumAlgorithm: 'CRC32C',
    ChecksumCRC32C: checksumText(sum),
    ...objectHeaders(options, lock),
  });
  try {
    const stored = await place.ask(what, signal, (once) => client.send(command, once));
    // A page of a proxy is a 200 too, and must not acknowledge anything.
    if (stored.ETag === undefined) throw notS3(what, 'ETag');
    lock?.answered();
    return { version: stored.VersionId, lock };
  } catch (error) {
    if (isTaken(error)) return 'exists';
    throw options.lock?.judge(error) ?? error;
  }
}
