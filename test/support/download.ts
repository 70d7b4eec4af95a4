import { GetObjectCommand, paginateListObjectsV2 } from '@aws-sdk/client-s3';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { adminClient } from './bucket.ts';
import type { S3Access } from './s3-server.ts';

/** Copies everything below a prefix of a bucket into a folder, keeping the names, as any S3 tool would. */
export async function download(access: S3Access, bucket: string, prefix: string, folder: string): Promise<void> {
  const client = adminClient(access);
  try {
    for await (const page of paginateListObjectsV2({ client }, { Bucket: bucket, Prefix: prefix })) {
      for (const { Key = '' } of page.Contents ?? []) {
        const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key }));
        const path = join(folder, Key.slice(prefix.length));
        await mkdir(dirname(path), { recursive: true });
        await writeFile(path, (await Body?.transformToByteArray()) ?? '');
      }
    }
  } finally {
    client.destroy();
  }
}
