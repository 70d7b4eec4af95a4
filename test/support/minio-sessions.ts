import { fromTemporaryCredentials } from '@aws-sdk/credential-providers';
import { S3Client } from '@aws-sdk/client-s3';
import type { S3Server } from './s3-server.ts';

/** Keys of a session, as the environment of a program carries them. */
export interface SessionKeys {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken: string;
}

/** A session on a MinIO that may do what this policy of an identity allows, and nothing else: its AssumeRole takes a policy. */
export async function sessionFor(server: S3Server, policy: object): Promise<SessionKeys> {
  if (server.kind !== 'minio') throw new Error('only MinIO makes sessions here');
  const { endpoint, region, accessKey, secretKey } = server;
  const make = fromTemporaryCredentials({
    params: {
      RoleArn: 'arn:xxx:xxx:xxx:xxxx',
      RoleSessionName: 'test',
      DurationSeconds: 3600,
      Policy: JSON.stringify(policy),
    },
    masterCredentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
    clientConfig: { endpoint, region },
  });
  const { accessKeyId, secretAccessKey, sessionToken } = await make();
  if (sessionToken === undefined) throw new Error('the session has no token');
  return { accessKeyId, secretAccessKey, sessionToken };
}

export function environmentOf({ accessKeyId, secretAccessKey, sessionToken }: SessionKeys): Record<string, string> {
  return {
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_SESSION_TOKEN: sessionToken,
  };
}

export function clientOf({ endpoint, region }: S3Server, credentials: SessionKeys): S3Client {
  return new S3Client({ endpoint, region, credentials, forcePathStyle: true, maxAttempts: 1 });
}
