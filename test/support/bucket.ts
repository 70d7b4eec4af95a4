import { Agent } from 'node:https';
import {
  CreateBucketCommand,
  ListBucketsCommand,
  PutBucketVersioningCommand,
  PutObjectLockConfigurationCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import type { S3Access } from './s3-server.ts';

export interface BucketOptions {
  versioning?: boolean;
  /** Allows object locks, which brings versioning; with a default retention if `days` are given. */
  objectLock?: boolean | { mode: 'GOVERNANCE' | 'COMPLIANCE'; days: number };
}

/** Makes a bucket as the administrator of that server. */
export async function makeBucket(access: S3Access, name: string, options: BucketOptions): Promise<void> {
  const { versioning = false, objectLock = false } = options;
  const client = adminClient(access);
  try {
    await client.send(new CreateBucketCommand({ Bucket: name, ObjectLockEnabledForBucket: objectLock !== false }));
    if (versioning && objectLock === false) {
      const VersioningConfiguration = { Status: 'Enabled' } as const;
      await client.send(new PutBucketVersioningCommand({ Bucket: name, VersioningConfiguration }));
    }
    if (typeof objectLock === 'object') {
      const DefaultRetention = { Mode: objectLock.mode, Days: objectLock.days };
      const ObjectLockConfiguration = { ObjectLockEnabled: 'Enabled', Rule: { DefaultRetention } } as const;
      await client.send(new PutObjectLockConfigurationCommand({ Bucket: name, ObjectLockConfiguration }));
    }
  } finally {
    client.destroy();
  }
}

/** Whether the server takes signed requests already; throws while it refuses them. */
export async function answersRequests(access: S3Access): Promise<true> {
  const client = adminClient(access);
  try {
    await client.send(new ListBucketsCommand({}), { abortSignal: AbortSignal.timeout(1_000) });
    return true;
  } finally {
    client.destroy();
  }
}

/** A client that may do everything on that server: for preparing, for looking behind the back, and for attacks. */
export function adminClient({ endpoint, region, accessKey, secretKey, ca }: S3Access): S3Client {
  const credentials = { accessKeyId: accessKey, secretAccessKey: secretKey };
  const trust = ca === undefined ? {} : { requestHandler: { httpsAgent: new Agent({ ca, keepAlive: true }) } };
  return new S3Client({ endpoint, region, credentials, forcePathStyle: true, maxAttempts: 1, ...trust });
}
