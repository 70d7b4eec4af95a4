import type { S3Client } from '@aws-sdk/client-s3';
import { ensureLocked, lockMemory, proveCreated, type LockingStore } from './lock-proof.ts';
import { requireObjectKey } from './object-key.ts';
import type { RetryPolicy } from './retry.ts';
import type { S3Advice } from './s3-advice.ts';
import type { S3Clock } from './s3-clock.ts';
import { S3LockAsk } from './s3-lock-ask.ts';
import { S3Multipart } from './s3-multipart.ts';
import type { S3Place } from './s3-place.ts';
import { uploadStream, type Uploaded, type UploadSettings } from './s3-upload.ts';
import { putObject, type S3ObjectOptions } from './s3-write.ts';
import type { Body, LockMemory, LockRequest, Store } from './store.ts';
import { withRetry } from './with-retry.ts';

export interface S3WriterSettings {
  policy: RetryPolicy;
  partBytes?: number;
  partBuffers?: number;
  kmsKey?: string;
  storageClass?: string;
  lockMemory?: LockMemory | undefined;
}

/** The writing half of an S3 store: sends an object with the lock that it is to have, and believes it to be locked only when it is. */
export class S3Writer {
  private readonly client: S3Client;
  private readonly place: S3Place;
  private readonly settings: S3WriterSettings;
  private readonly clock: S3Clock;
  private readonly advice: S3Advice;
  private readonly memory: LockMemory;
  /** Asks again by the policy: once an object is stored, to send it again would only find the name taken. */
  private readonly reading: LockingStore;

  constructor(
    client: S3Client,
    place: S3Place,
    reading: Omit<Store, 'create'>,
    parts: { clock: S3Clock; advice: S3Advice; settings: S3WriterSettings },
  ) {
    const { settings } = parts;
    this.client = client;
    this.place = place;
    this.settings = settings;
    this.clock = parts.clock;
    this.advice = parts.advice;
    this.memory = settings.lockMemory ?? lockMemory();
    this.reading = patient(reading, settings.policy);
  }

  create: Store['create'] = async (key, body, { signal, lock }) => {
    requireObjectKey(key);
    const { kmsKey, storageClass } = this.settings;
    const uploaded = await this.send(key, body, signal, {
      ...(kmsKey === undefined ? {} : { kmsKey }),
      ...(storageClass === undefined ? {} : { storageClass }),
      ...(lock === undefined ? {} : { lock: new S3LockAsk(lock, this.clock, this.advice) }),
    });
    if (uploaded === 'exists') return 'exists';
    if (lock !== undefined) await this.prove(key, lock, uploaded, signal);
    return 'created';
  };

  private async send(key: string, body: Body, signal: AbortSignal, options: S3ObjectOptions): Promise<Uploaded> {
    const { policy, partBytes = 16 * 1024 * 1024, partBuffers = 3 } = this.settings;
    if (body.kind === 'stream') {
      const upload: UploadSettings = { policy, partBytes, partBuffers };
      return uploadStream(new S3Multipart(this.client, this.place, key, options), upload, body.chunks, signal);
    }
    const written = await putObject(this.client, this.place, key, body.bytes, { ...options, signal });
    return written === 'exists' ? written : { way: 'single', settled: false, ...written };
  }

  private prove(
    key: string,
    lock: LockRequest,
    uploaded: Exclude<Uploaded, 'exists'>,
    signal: AbortSignal,
  ): Promise<void> {
    const { version } = uploaded;
    // Not known to be ours by more than its bytes: what lies there may have come from elsewhere, without a lock.
    if (uploaded.settled) return ensureLocked(this.reading, key, lock, { signal, version });
    const { way, lock: asked } = uploaded;
    const created = { version, way, asked: asked?.until, begunAt: asked?.begunAt ?? this.clock.now() };
    return proveCreated(this.reading, key, lock, created, { signal, memory: this.memory });
  }
}

function patient(reading: Omit<Store, 'create'>, policy: RetryPolicy): LockingStore {
  const create = (): never => {
    throw new TypeError('a proof creates nothing');
  };
  return withRetry({ ...reading, create }, policy);
}
