import { randomUUID } from 'node:crypto';
import { WalholdError } from '../base/errors.ts';
import { addCrc32c, checksumText } from './checksum.ts';
import type { GcsClient } from './gcs-client.ts';
import { isCorrupted, isTaken, notGcs, refusalOf } from './gcs-errors.ts';
import { NO_OBJECT_RETENTION } from './gcs-lock-advice.ts';
import { GCS_MODES, gcsObject, OBJECT_FIELDS, type GcsObject } from './gcs-object.ts';
import type { GcsPlace } from './gcs-place.ts';
import { lockEnd } from './lock-proof.ts';
import type { LockRequest } from './store.ts';

/** What an object is stored with. */
export interface GcsObjectOptions {
  kmsKey?: string;
  lock?: LockRequest;
}

/** What the store says of an object that it has just made, or that its name was taken. */
export type Inserted = { result: 'created'; object: GcsObject } | { result: 'exists' };

/** The query of an upload: created only where no live object has the name. */
export function uploadQuery(
  uploadType: 'multipart' | 'resumable',
  { kmsKey }: GcsObjectOptions,
): Record<string, string> {
  return {
    uploadType,
    ifGenerationMatch: '0',
    fields: OBJECT_FIELDS,
    ...(kmsKey === undefined ? {} : { kmsKeyName: kmsKey }),
  };
}

/** The object resource of an upload, in JSON. `now`: the store's time. */
export function uploadMetadata(name: string, { lock }: GcsObjectOptions, now: number, sum?: number): Buffer {
  const retention =
    lock === undefined || lock.mode === 'bucket'
      ? undefined
      : { mode: GCS_MODES[lock.mode], retainUntilTime: lockEnd(new Date(now), lock.periodMs).toISOString() };
  return Buffer.from(
    JSON.stringify({
      name,
      contentType: CONTENT_TYPE,
      ...(sum === undefined ? {} : { crc32c: checksumText(sum) }),
      ...(retention === undefined ? {} : { retention }),
    }),
  );
}

export const CONTENT_TYPE = 'application/octet-stream';

/**
 * One conditional insert in one request (multipart/related: the resource, then the bytes). The store compares the bytes with the sum
 * before the object exists.
 */
export async function insertObject(
  client: GcsClient,
  place: GcsPlace,
  key: string,
  bytes: Uint8Array,
  options: GcsObjectOptions & { signal: AbortSignal },
): Promise<Inserted> {
  const what = `store ${place.url}/${key}`;
  const sum = addCrc32c(0, bytes);
  try {
    const stored = await insert(client, place, key, bytes, {
      ...options,
      what,
      sum,
      query: uploadQuery('multipart', options),
    });
    return { result: 'created', object: requireStored(what, stored, { sum, bytes: bytes.byteLength }) };
  } catch (error) {
    if (isTaken(error)) return { result: 'exists' };
    throw lockRefused(what, error, options.lock);
  }
}

/** The request alone, for callers who send what nobody should. `query` decides what it is conditional on. */
export async function insert(
  client: GcsClient,
  place: GcsPlace,
  key: string,
  bytes: Uint8Array,
  options: GcsObjectOptions & { what: string; signal: AbortSignal; sum: number; query: Record<string, string> },
): Promise<unknown> {
  const { what, signal, sum, query } = options;
  const boundary = randomUUID();
  const part = (type: string): string => `--${boundary}\r\nContent-Type: ${type}\r\n\r\n`;
  const head = Buffer.concat([
    Buffer.from(part('application/json; charset=UTF-8')),
    uploadMetadata(place.keyOf(key), options, client.now(), sum),
    Buffer.from(`\r\n${part(CONTENT_TYPE)}`),
  ]);
  const headers = { 'content-type': `multipart/related; boundary=${boundary}` };
  const body = [head, bytes, Buffer.from(`\r\n--${boundary}--\r\n`)];
  const request = { method: 'POST', path: place.uploadPath, query, headers, body } as const;
  const { body: answer } = await place.ask(what, signal, (once) => client.json(request, once.abortSignal));
  return answer;
}

/** The object that an answer describes, if it is what was sent: a page of a proxy is a 200 too, and must not acknowledge anything. */
export function requireStored(what: string, answer: unknown, sent: { sum: number; bytes: number }): GcsObject {
  const object = gcsObject(answer);
  if (object === undefined) throw notGcs(what, 'description of the object');
  if (isSame(object, sent)) return object;
  throw new WalholdError('store-rejected', `could not ${what}`, {
    detail: `generation ${object.generation} holds ${object.bytes} bytes and not what was sent`,
    hint: 'The store did not compare what arrived with its checksum: check gcs_endpoint and the network.',
  });
}

export function isSame(object: GcsObject, sent: { sum: number; bytes: number }): boolean {
  return object.bytes === sent.bytes && object.sum === sent.sum;
}

/** A 400 where a lock was asked for: the bucket knows no locks of objects, which nobody can add to it by the API. */
export function lockRefused(what: string, error: unknown, lock: LockRequest | undefined): unknown {
  const refusal = refusalOf(error);
  if (lock === undefined || lock.mode === 'bucket' || refusal?.status !== 400 || isCorrupted(error)) return error;
  return new WalholdError('unlocked', `could not ${what}`, {
    detail: `the lock was refused: ${refusal.message}`,
    hint: NO_OBJECT_RETENTION,
    cause: error,
  });
}
