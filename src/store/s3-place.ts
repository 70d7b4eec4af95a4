import { WalholdError } from '../base/errors.ts';
import { abortable } from './abortable.ts';
import { s3Error } from './s3-errors.ts';

/** A repository's part of a bucket. */
export interface S3Place {
  bucket: string;
  url: string;
  /** The bucket's key for a key or prefix of ours. */
  keyOf(key: string): string;
  /** The reverse; `undefined` for what lies outside. */
  ownKey(bucketKey: string): string | undefined;
  /** Sends one request; a failure becomes `could not <what>` with the code it deserves. */
  ask<T>(what: string, signal: AbortSignal, request: () => Promise<T>): Promise<T>;
}

export function s3Place(bucket: string, prefix: string): S3Place {
  const inside = prefix === '' ? '' : `${prefix}/`;
  return {
    bucket,
    url: prefix === '' ? `s3://${bucket}` : `s3://${bucket}/${prefix}`,
    keyOf: (key) => inside + key,
    ownKey: (bucketKey) => (bucketKey.startsWith(inside) ? bucketKey.slice(inside.length) : undefined),
    async ask(what, signal, request) {
      signal.throwIfAborted();
      try {
        return await abortable(signal, request());
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        throw s3Error(`could not ${what}`, error);
      }
    },
  };
}

/** The ETag; where a server gives none, what is next best. */
export function tagOf(etag: string | undefined, bytes: number, storedAt: Date): string {
  return etag?.replace(/^W\//, '').replaceAll('"', '') ?? `${bytes}-${storedAt.getTime()}`;
}

/** Answers lack what every server must send: something between us and the store speaks HTTP, but not S3. */
export function notS3(what: string, missing: string): WalholdError {
  return new WalholdError('store-rejected', `could not ${what}`, {
    detail: `the answer has no ${missing}`,
    hint: 'Check s3_endpoint: what answers there does not behave as S3 does.',
  });
}
