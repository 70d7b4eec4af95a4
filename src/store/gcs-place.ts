import { bucketPlace, type BucketPlace } from './bucket-place.ts';
import { gcsError } from './gcs-errors.ts';

/** A repository's part of a bucket, and the paths of the JSON API to it. */
export interface GcsPlace extends BucketPlace {
  bucketPath: string;
  uploadPath: string;
  objectPath(key: string): string;
}

export function gcsPlace(bucket: string, prefix: string, requestTimeoutMs: number): GcsPlace {
  const place = bucketPlace({ scheme: 'gs', bucket, prefix, requestTimeoutMs, failure: gcsError });
  const bucketPath = `/storage/v1/b/${encodeURIComponent(bucket)}`;
  return {
    ...place,
    bucketPath,
    uploadPath: `/upload${bucketPath}/o`,
    objectPath: (key) => `${bucketPath}/o/${encodeURIComponent(place.keyOf(key))}`,
  };
}
