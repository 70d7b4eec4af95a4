import type { S3Request } from './fake-s3-messages.ts';

export type Operation =
  | 'PutObject'
  | 'GetObject'
  | 'HeadObject'
  | 'DeleteObject'
  | 'DeleteObjects'
  | 'ListObjectsV2'
  | 'ListObjectVersions'
  | 'GetObjectRetention'
  | 'PutObjectRetention'
  | 'GetObjectLegalHold'
  | 'PutObjectLegalHold'
  | 'GetBucketVersioning'
  | 'GetObjectLockConfiguration'
  | 'GetBucketLifecycleConfiguration'
  | 'CreateMultipartUpload'
  | 'UploadPart'
  | 'CompleteMultipartUpload'
  | 'AbortMultipartUpload';

/** Which operation a request is, by S3's rules; `undefined`: none that the fake knows. */
export function operationOf({ method, key, query }: S3Request): Operation | undefined {
  const upload = query.has('uploadId');
  if (key === '') {
    if (method === 'POST' && query.has('delete')) return 'DeleteObjects';
    return method === 'GET' ? bucketOperation(query) : undefined;
  }
  if (query.has('retention')) return lockOperation(method, 'GetObjectRetention', 'PutObjectRetention');
  if (query.has('legal-hold')) return lockOperation(method, 'GetObjectLegalHold', 'PutObjectLegalHold');
  switch (method) {
    case 'GET':
      return 'GetObject';
    case 'HEAD':
      return 'HeadObject';
    case 'PUT':
      return upload ? 'UploadPart' : 'PutObject';
    case 'POST':
      return upload ? 'CompleteMultipartUpload' : query.has('uploads') ? 'CreateMultipartUpload' : undefined;
    case 'DELETE':
      return upload ? 'AbortMultipartUpload' : 'DeleteObject';
    default:
      return undefined;
  }
}

function bucketOperation(query: URLSearchParams): Operation | undefined {
  if (query.get('list-type') === '2') return 'ListObjectsV2';
  if (query.has('versions')) return 'ListObjectVersions';
  if (query.has('versioning')) return 'GetBucketVersioning';
  if (query.has('object-lock')) return 'GetObjectLockConfiguration';
  return query.has('lifecycle') ? 'GetBucketLifecycleConfiguration' : undefined;
}

function lockOperation(method: string, get: Operation, put: Operation): Operation | undefined {
  return method === 'GET' ? get : method === 'PUT' ? put : undefined;
}
