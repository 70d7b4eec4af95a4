import {
  PutObjectCommand,
  type PutObjectCommandInput,
  type S3Client,
  type ServerSideEncryption,
  type StorageClass,
} from '@aws-sdk/client-s3';
import { addCrc32c, checksumText } from './checksum.ts';
import { isTaken } from './s3-errors.ts';
import { notS3, type S3Place } from './s3-place.ts';

/** What every object of the repository is stored with. */
export interface S3ObjectOptions {
  kmsKey?: string;
  storageClass?: string;
}

/** The same headers for a single request and for the beginning of a multipart upload; locks belong here too. */
export function objectHeaders(
  options: S3ObjectOptions,
): Pick<PutObjectCommandInput, 'ServerSideEncryption' | 'SSEKMSKeyId' | 'StorageClass' | 'ContentType'> {
  const { kmsKey, storageClass } = options;
  return {
    ContentType: 'application/octet-stream',
    ...(kmsKey === undefined ? {} : { ServerSideEncryption: 'aws:kms' as ServerSideEncryption, SSEKMSKeyId: kmsKey }),
    ...(storageClass === undefined ? {} : { StorageClass: storageClass as StorageClass }),
  };
}

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
): Promise<'created' | 'exists'> {
  const { signal, sum = addCrc32c(0, bytes) } = options;
  const what = `store ${place.url}/${key}`;
  const command = new PutObjectCommand({
    Bucket: place.bucket,
    Key: place.keyOf(key),
    Body: bytes,
    ContentLength: bytes.byteLength,
    IfNoneMatch: '*',
    ChecksumAlgorithm: 'CRC32C',
    ChecksumCRC32C: checksumText(sum),
    ...objectHeaders(options),
  });
  try {
    const stored = await place.ask(what, signal, (once) => client.send(command, once));
    // A page of a proxy is a 200 too, and must not acknowledge anything.
    if (stored.ETag === undefined) throw notS3(what, 'ETag');
    return 'created';
  } catch (error) {
    if (isTaken(error)) return 'exists';
    throw error;
  }
}
