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
  /**
   * Sends one request and waits for what `request` gives, not longer than one request may take; a failure becomes `could not <what>`
   * with the code it deserves. The signal that `request` gets stays tied to the caller's, for a body still to be read.
   */
  ask<T>(what: string, signal: AbortSignal, request: (once: { abortSignal: AbortSignal }) => Promise<T>): Promise<T>;
}

export function s3Place(bucket: string, prefix: string, requestTimeoutMs: number): S3Place {
  const inside = prefix === '' ? '' : `${prefix}/`;
  return {
    bucket,
    url: prefix === '' ? `s3://${bucket}` : `s3://${bucket}/${prefix}`,
    keyOf: (key) => inside + key,
    ownKey: (bucketKey) => (bucketKey.startsWith(inside) ? bucketKey.slice(inside.length) : undefined),
    async ask(what, signal, request) {
      signal.throwIfAborted();
      const timeout = new AbortController();
      const late = (): void => timeout.abort(new Error(`no answer within ${requestTimeoutMs} ms`));
      // The SDK's own time-out ends with the headers; a body can stop coming too.
      const timer = setTimeout(late, requestTimeoutMs);
      const either = AbortSignal.any([signal, timeout.signal]);
      try {
        return await abortable(either, request({ abortSignal: either }));
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        throw s3Error(`could not ${what}`, timeout.signal.aborted ? timeout.signal.reason : error);
      } finally {
        clearTimeout(timer);
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
