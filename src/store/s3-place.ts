import { WalholdError } from '../base/errors.ts';
import { bucketPlace, type BucketPlace } from './bucket-place.ts';
import { s3Error } from './s3-errors.ts';

export type S3Place = BucketPlace;

export function s3Place(bucket: string, prefix: string, requestTimeoutMs: number): S3Place {
  return bucketPlace({ scheme: 's3', bucket, prefix, requestTimeoutMs, failure: s3Error });
}

/** The ETag; where a server gives none, what is next best. */
export function tagOf(etag: string | undefined, bytes: number, storedAt: Date): string {
  return etag?.replace(/^W\//, '').replaceAll('"', '') ?? `${bytes}-${storedAt.getTime()}`;
}

/** Answers lack what every server must send: something between us and the store speaks HTTP, but not S3. */
export function notS3(what: string, missing: string): WalholdError {
  return new WalholdError('store-rejected', `could not ${what}`, {
    detail: `the answer has no ${missing}`,
    hint: 'Check s3_endpoint: what answers there does not behave as S3 does.',
  });
}
