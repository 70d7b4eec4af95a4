import { chown } from 'node:fs/promises';
import { join } from 'node:path';
import { serverProgram } from '../../test-servers.ts';
import { adminClient } from '../../../test/support/bucket.ts';
import { Place } from '../../../test/support/place.ts';
import { startMinio } from '../../../test/support/s3-server.ts';
import { selfSigned } from './certificate.ts';
import { fileRepository, s3Repository, type Repository, type StoreKind } from './repository.ts';

/** Gives every trial a repository of its own. */
export interface Stores extends AsyncDisposable {
  kinds: readonly StoreKind[];
  /** @throws for a kind that is not among {@link kinds}. */
  repository(kind: StoreKind): Promise<Repository>;
}

const BUCKET = 'bench';

/** A folder on the disk, and MinIO on the same disk, which speaks TLS. Without MinIO on this machine `tell` hears it. */
export async function openStores(kinds: readonly StoreKind[], tell: (line: string) => void): Promise<Stores> {
  const stack = new AsyncDisposableStack();
  try {
    const place = stack.use(await Place.create('stores'));
    const makeInBucket = kinds.includes('S3') ? await openBucket(place, stack, tell) : undefined;
    let made = 0;
    const repository = async (kind: StoreKind): Promise<Repository> => {
      made += 1;
      if (kind === 'S3') {
        if (makeInBucket === undefined) throw new Error('there is no S3 server');
        return makeInBucket(`trial-${made}`);
      }
      const path = join(place.path, `trial-${made}`);
      const files = await fileRepository(path);
      await chown(path, place.owner.uid, place.owner.gid);
      return files;
    };
    const all = stack.move();
    return {
      kinds: kinds.filter((kind) => kind !== 'S3' || makeInBucket !== undefined),
      repository,
      [Symbol.asyncDispose]: async () => await all.disposeAsync(),
    };
  } finally {
    await stack.disposeAsync();
  }
}

async function openBucket(
  place: Place,
  stack: AsyncDisposableStack,
  tell: (line: string) => void,
): Promise<((prefix: string) => Repository) | undefined> {
  if (serverProgram('minio') === undefined) {
    tell('minio is not installed (scripts/test-servers.ts minio): nothing is measured against S3');
    return undefined;
  }
  const { file, ...tls } = await selfSigned(place);
  const server = stack.use(await startMinio(tls));
  await server.makeBucket(BUCKET);
  const client = stack.adopt(adminClient(server), (one) => one.destroy());
  const { region, accessKey, secretKey } = server;
  const port = Number(new URL(server.endpoint).port);
  return (prefix) => s3Repository(client, { port, region, accessKey, secretKey, bucket: BUCKET, prefix, caFile: file });
}
