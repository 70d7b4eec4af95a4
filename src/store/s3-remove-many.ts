import { DeleteObjectsCommand, type S3Client } from '@aws-sdk/client-s3';
import { hasCode } from '../base/errors.ts';
import { requireObjectKey } from './object-key.ts';
import type { RetryPolicy } from './retry.ts';
import type { S3Place } from './s3-place.ts';
import type { CallOptions, ObjectVersion } from './store.ts';

/**
 * DeleteObjects: so many versions in one request as S3 takes. Some servers do not know it, or want an MD5 beside the checksum that the
 * SDK sends; once the request as a whole is refused, it is not sent again.
 */
export class S3BulkRemovals {
  readonly #client: S3Client;
  readonly #place: S3Place;
  readonly #policy: RetryPolicy;
  #isRefused = false;

  constructor(client: S3Client, place: S3Place, policy: RetryPolicy) {
    this.#client = client;
    this.#place = place;
    this.#policy = policy;
  }

  /** For each whether the store says that it is gone; why it is not, only a request for it alone tells. */
  async remove(objects: readonly ObjectVersion[], { signal }: CallOptions): Promise<boolean[]> {
    for (const { key } of objects) requireObjectKey(key);
    if (this.#isRefused || objects.length === 0) return objects.map(() => false);
    const what = `remove ${objects.length} objects of ${this.#place.url}`;
    try {
      const gone = await this.#policy.run(what, (once) => this.#ask(what, objects, once), { signal });
      return objects.map((one) => gone.has(nameOf(this.#place.keyOf(one.key), one.version)));
    } catch (error) {
      if (!hasCode(error, 'store-rejected', 'denied', 'unsupported')) throw error;
      this.#isRefused = true;
      return objects.map(() => false);
    }
  }

  /** The versions that are gone, by the answer for each of them. */
  async #ask(what: string, objects: readonly ObjectVersion[], signal: AbortSignal): Promise<ReadonlySet<string>> {
    const command = new DeleteObjectsCommand({
      Bucket: this.#place.bucket,
      Delete: { Objects: objects.map(({ key, version }) => ({ Key: this.#place.keyOf(key), VersionId: version })) },
    });
    const answer = await this.#place.ask(what, signal, (once) => this.#client.send(command, once));
    const gone = new Set((answer.Deleted ?? []).map(({ Key, VersionId }) => nameOf(Key, VersionId)));
    for (const { Key, VersionId } of answer.Errors ?? []) gone.delete(nameOf(Key, VersionId));
    return gone;
  }
}

/** Servers without versions leave `null` out. */
function nameOf(key: string | undefined, version: string | undefined): string {
  return `${version ?? 'null'} ${key ?? ''}`;
}
