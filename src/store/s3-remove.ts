import { DeleteObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { hasCode, WalholdError } from '../base/errors.ts';
import { systemClock } from '../base/clock.ts';
import { requireObjectKey } from './object-key.ts';
import { bucketVersioning } from './s3-bucket.ts';
import { S3Advice } from './s3-advice.ts';
import { s3Client } from './s3-client.ts';
import { S3Clock } from './s3-clock.ts';
import { answerOf, lacking } from './s3-errors.ts';
import { S3Locks } from './s3-locks.ts';
import { s3Place, type S3Place } from './s3-place.ts';
import { s3Reader, type S3Reader } from './s3-read.ts';
import { S3BulkRemovals } from './s3-remove-many.ts';
import type { S3StoreSettings } from './s3.ts';
import type { RemovingStore } from './store.ts';

/** The deleting half of an S3 store, with connections of its own. Repeats by the policy. */
export async function s3Remover(settings: S3StoreSettings): Promise<RemovingStore> {
  const { policy, clock = systemClock } = settings;
  const client = await s3Client({ ...settings, requestTimeoutMs: policy.requestTimeoutMs });
  const place = s3Place(settings.bucket, settings.prefix, policy.requestTimeoutMs);
  const storeClock = new S3Clock(clock);
  storeClock.watch(client);
  const reader = s3Reader(client, place, storeClock, policy.requestTimeoutMs);
  const locks = new S3Locks(client, place, { reader, clock: storeClock, advice: new S3Advice(settings) });
  const removals = new S3Removals(client, place, reader, locks);
  const bulk = new S3BulkRemovals(client, place, policy);
  return {
    async remove(key, { signal, version }) {
      requireObjectKey(key);
      const what = `remove ${place.url}/${key}`;
      await policy.run(what, (once) => removals.remove(key, version, once), { signal });
    },
    removeMany: (objects, options) => bulk.remove(objects, options),
    async hide(key, { signal }) {
      requireObjectKey(key);
      await policy.run(`hide ${place.url}/${key}`, (once) => removals.hide(key, once), { signal });
    },
    // eslint-disable-next-line typescript/require-await -- other stores have to wait
    async close() {
      client.destroy();
    },
  };
}

class S3Removals {
  private readonly client: S3Client;
  private readonly place: S3Place;
  private readonly reader: S3Reader;
  private readonly locks: S3Locks;

  constructor(client: S3Client, place: S3Place, reader: S3Reader, locks: S3Locks) {
    this.client = client;
    this.place = place;
    this.reader = reader;
    this.locks = locks;
  }

  async remove(key: string, version: string | undefined, signal: AbortSignal): Promise<void> {
    const what = `remove ${this.place.url}/${key}`;
    if (version === undefined && !(await this.isTheOnlyOne(key, what, signal))) return;
    // `null` is what the version of a bucket without versions is called. Without any, S3 would place a marker where it keeps them.
    const command = new DeleteObjectCommand({ ...this.object(key), VersionId: version ?? 'null' });
    try {
      await this.place.ask(what, signal, (once) => this.client.send(command, once));
    } catch (error) {
      if (answerOf(error)?.status === 404 && /^NoSuch(Key|Version)$/.test(answerOf(error)?.code ?? '')) return;
      // MinIO says of what is locked that the request is invalid.
      const maybeLocked = hasCode(error, 'denied') || answerOf(error)?.status === 400;
      throw maybeLocked ? await this.explained(key, version, error, signal) : error;
    }
  }

  /** Whether the name has its one content, without versions; `false`: there is nothing. Throws `refused` where there are versions. */
  private async isTheOnlyOne(key: string, what: string, signal: AbortSignal): Promise<boolean> {
    const info = await this.reader.stat(key, { signal });
    if (info === undefined) return false;
    if (info.version === undefined || info.version === 'null') return true;
    throw new WalholdError('refused', `could not ${what}`, {
      detail: 'the bucket keeps versions, and none was named',
      hint: 'Name the version that is to go.',
    });
  }

  /** S3 refuses what is locked just as what is not allowed: only a look at the lock tells. */
  private async explained(
    key: string,
    version: string | undefined,
    refusal: unknown,
    signal: AbortSignal,
  ): Promise<unknown> {
    if (!(refusal instanceof WalholdError)) return refusal;
    const { code, message, detail, cause } = refusal;
    const named = version === undefined ? {} : { version };
    const protection = await this.locks.look(key, { signal, ...named }).catch((error: unknown) => {
      if (hasCode(error, 'denied', 'store-rejected', 'damaged')) return undefined;
      throw error;
    });
    const { retention, hold = false } = protection ?? {};
    const locked = [
      retention === undefined
        ? undefined
        : `it is locked in ${retention.mode} mode until ${retention.until.toISOString()}`,
      hold ? 'it is under a legal hold' : undefined,
    ].filter((part) => part !== undefined);
    if (locked.length === 0 && code !== 'denied') return refusal;
    const hint =
      locked.length > 0
        ? 'Wait until it falls free.'
        : `Allow these credentials s3:DeleteObjectVersion (s3:DeleteObject, where the bucket keeps no versions); a lock can be seen with s3:GetObjectRetention and s3:GetObjectLegalHold.`;
    const said = [...locked, ...(detail === undefined ? [] : [detail])].join('; ');
    return new WalholdError('denied', message, { detail: said, hint, cause });
  }

  async hide(key: string, signal: AbortSignal): Promise<void> {
    const what = `hide ${this.place.url}/${key}`;
    // Without versions the same request would delete the object.
    const versioning = await bucketVersioning(this.client, this.place, signal);
    if (versioning !== 'on') {
      throw new WalholdError('refused', `could not ${what}`, {
        detail: `the versioning of the bucket is ${versioning}: the object would be gone`,
        hint: 'Remove it instead, or let the bucket keep versions.',
      });
    }
    const command = new DeleteObjectCommand(this.object(key));
    try {
      await this.place.ask(what, signal, (once) => this.client.send(command, once));
    } catch (error) {
      throw lacking(error, 's3:DeleteObject');
    }
  }

  private object(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.place.bucket, Key: this.place.keyOf(key) };
  }
}
