import { refuse, type S3Request } from './fake-s3-messages.ts';
import type { Operation } from './fake-s3-routes.ts';

/** Whoever signed a request. */
export interface Caller {
  may(action: string): boolean;
}

/** A key that may do these things in every bucket, or everything. */
export function callerOf(allowed: readonly string[] | 'everything'): Caller {
  return { may: (action) => allowed === 'everything' || allowed.includes(action) };
}

/** What AWS asks for each operation ("Required permissions for Amazon S3 API operations"). */
const NEEDED: Readonly<Record<Exclude<Operation, 'DeleteObjects'>, string>> = {
  PutObject: 's3:PutObject',
  GetObject: 's3:GetObject',
  HeadObject: 's3:GetObject',
  DeleteObject: 's3:DeleteObject',
  ListObjectsV2: 's3:ListBucket',
  ListObjectVersions: 's3:ListBucketVersions',
  CreateMultipartUpload: 's3:PutObject',
  UploadPart: 's3:PutObject',
  CompleteMultipartUpload: 's3:PutObject',
  AbortMultipartUpload: 's3:AbortMultipartUpload',
  GetObjectRetention: 's3:GetObjectRetention',
  PutObjectRetention: 's3:PutObjectRetention',
  GetObjectLegalHold: 's3:GetObjectLegalHold',
  PutObjectLegalHold: 's3:PutObjectLegalHold',
  GetBucketVersioning: 's3:GetBucketVersioning',
  GetObjectLockConfiguration: 's3:GetBucketObjectLockConfiguration',
  GetBucketLifecycleConfiguration: 's3:GetLifecycleConfiguration',
};

/** Reading and deleting a version by its identifier are rights of their own. */
const OF_VERSIONS: Partial<Record<Operation, string>> = {
  GetObject: 's3:GetObjectVersion',
  HeadObject: 's3:GetObjectVersion',
  DeleteObject: 's3:DeleteObjectVersion',
};

export function checkRights(caller: Caller, operation: Operation, { query, headers }: S3Request): void {
  // Each object of them is judged by itself.
  if (operation === 'DeleteObjects') return;
  const action = (query.has('versionId') ? OF_VERSIONS[operation] : undefined) ?? NEEDED[operation];
  requireRight(caller, action);
  if (headers['x-amz-bypass-governance-retention'] === 'true') requireRight(caller, 's3:BypassGovernanceRetention');
}

export function requireRight(caller: Caller, action: string): void {
  if (!caller.may(action)) throw refuse(403, 'AccessDenied', { message: 'Access Denied' });
}
