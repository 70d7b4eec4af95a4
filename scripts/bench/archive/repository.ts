import { type _Object, DeleteObjectsCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** Where a contender stores during one trial. It is empty and the contender's alone. */
export type Repository = FileRepository | S3Repository;

export type StoreKind = Repository['kind'];

interface Counted {
  /**
   * What is stored under names in which one of these occurs.
   *
   * @param names of WAL segments.
   */
  stored(names: ReadonlySet<string>): Promise<Stored>;
  remove(): Promise<void>;
}

export interface Stored {
  /** How many of the names were found. */
  names: number;
  bytes: number;
}

export interface FileRepository extends Counted {
  kind: 'files';
  path: string;
}

export interface S3Repository extends Counted {
  kind: 'S3';
  /** `https:`, the host `localhost`. */
  port: number;
  region: string;
  accessKey: string;
  secretKey: string;
  bucket: string;
  /** Without slashes at its ends. */
  prefix: string;
  /** PEM of the authority behind the server's certificate. */
  caFile: string;
}

const WAL_NAME = /[0-9A-F]{24}/;

export async function fileRepository(path: string): Promise<FileRepository> {
  await mkdir(path, { mode: 0o700 });
  return {
    kind: 'files',
    path,
    stored: async (names) => count(await filesBelow(path), names),
    remove: async () => await rm(path, { recursive: true, maxRetries: 3 }),
  };
}

export function s3Repository(client: S3Client, access: Omit<S3Repository, 'kind' | keyof Counted>): S3Repository {
  const { bucket, prefix } = access;
  return {
    ...access,
    kind: 'S3',
    stored: async (names) => {
      const objects = await objectsBelow(client, bucket, prefix);
      const files = objects.map(({ Key = '', Size = 0 }) => ({ path: Key, bytes: Size }));
      return count(files, names);
    },
    remove: async () => {
      const keys = (await objectsBelow(client, bucket, prefix)).map(({ Key }) => ({ Key }));
      for (let first = 0; first < keys.length; first += 1000) {
        const Delete = { Objects: keys.slice(first, first + 1000), Quiet: true };
        await client.send(new DeleteObjectsCommand({ Bucket: bucket, Delete }));
      }
    },
  };
}

interface StoredFile {
  path: string;
  bytes: number;
}

/** A folder above may bear half a name, so only the last part of a path counts. */
function count(files: readonly StoredFile[], names: ReadonlySet<string>): Stored {
  const found = files.flatMap(({ path, bytes }) => {
    const name = WAL_NAME.exec(path.slice(path.lastIndexOf('/') + 1))?.[0];
    return name !== undefined && names.has(name) ? [{ name, bytes }] : [];
  });
  return {
    names: new Set(found.map(({ name }) => name)).size,
    bytes: found.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

async function filesBelow(path: string): Promise<StoredFile[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  // A temporary file may be gone already.
  const sizes = await Promise.all(files.map(async (file) => (await stat(file).catch(() => undefined))?.size));
  return files.flatMap((file, index) => {
    const bytes = sizes[index];
    return bytes === undefined ? [] : [{ path: file, bytes }];
  });
}

async function objectsBelow(client: S3Client, bucket: string, prefix: string): Promise<_Object[]> {
  const found: _Object[] = [];
  let token: string | undefined;
  do {
    const from = token === undefined ? {} : { ContinuationToken: token };
    const page = await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: `${prefix}/`, ...from }));
    found.push(...(page.Contents ?? []));
    token = page.NextContinuationToken;
  } while (token !== undefined);
  return found;
}
