import { PutBucketPolicyCommand } from '@aws-sdk/client-s3';
import { fromTemporaryCredentials } from '@aws-sdk/credential-providers';
import type { S3Credentials } from '../../src/store/s3-client.ts';
import { serverProgram } from '../../scripts/test-servers.ts';
import { adminClient } from './bucket.ts';
import { run } from './run.ts';
import type { S3Access, S3Server } from './s3-server.ts';

/** A statement of an IAM policy, as documents show it. */
export interface PolicyStatement {
  Effect: string;
  Action: string[];
  Resource: string | string[];
}

/** Makes an account on a versitygw that may do nothing yet; see {@link grant}. */
export async function makeUser(server: S3Server, name: string): Promise<S3Access> {
  const program = serverProgram('versitygw');
  if (server.kind !== 'versitygw' || program === undefined) throw new Error('only versitygw makes accounts here');
  const { endpoint, region, accessKey, secretKey } = server;
  const admin = ['admin', '--access', accessKey, '--secret', secretKey, '--endpoint-url', endpoint, '--region', region];
  const user = { endpoint, region, accessKey: name, secretKey: `secret-of-${name}` };
  const options = ['--access', user.accessKey, '--secret', user.secretKey, '--role', 'user'];
  const made = await run([program, ...admin, 'create-user', ...options]);
  if (made.status !== 0) throw new Error(`could not make user ${name}: ${made.stdout}${made.stderr}`);
  return user;
}

/**
 * Gives users what the policies of identities would give them, by the bucket's own policy: the same statements, with whom they
 * are for. It replaces what the bucket had.
 */
export async function grant(
  access: S3Access,
  bucket: string,
  policies: Readonly<Record<string, readonly PolicyStatement[]>>,
): Promise<void> {
  const statements = Object.entries(policies).flatMap(([user, of]) =>
    of.map((statement) => ({ ...statement, Principal: { AWS: [user] } })),
  );
  const client = adminClient(access);
  try {
    const Policy = JSON.stringify({ Version: '2012-10-17', Statement: statements });
    await client.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy }));
  } finally {
    client.destroy();
  }
}

/** Credentials for a MinIO that may do these things to this bucket and what is in it, and nothing else. */
export async function sessionFor(server: S3Server, bucket: string, allowed: readonly string[]): Promise<S3Credentials> {
  const { kind, endpoint, region, accessKey, secretKey } = server;
  if (kind !== 'minio') throw new Error('only MinIO gives sessions here');
  const Resource = [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`];
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: allowed, Resource }] });
  const session = await fromTemporaryCredentials({
    masterCredentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
    params: { RoleArn: 'arn:minio:iam:::role/tested', RoleSessionName: 'tested', Policy },
    clientConfig: { endpoint, region },
  })();
  return () => Promise.resolve(session);
}
