import type { ArchivedOptions } from './archived-cluster.ts';

/** Any S3 server: a fake one, or a real one with the keys of whoever archives. */
export interface S3Keys {
  readonly endpoint: string;
  readonly region: string;
  readonly accessKey: string;
  readonly secretKey: string;
}

/** What makes a cluster archive into a bucket of this server: walhold's settings, and the keys in the environment. */
export function archivingToS3(server: S3Keys, bucket: string): Required<Pick<ArchivedOptions, 'walhold' | 'env'>> {
  return {
    walhold: {
      repo: `s3://${bucket}/cluster`,
      s3_endpoint: server.endpoint,
      s3_region: server.region,
      s3_path_style: true,
    },
    env: { AWS_ACCESS_KEY_ID: server.accessKey, AWS_SECRET_ACCESS_KEY: server.secretKey },
  };
}
