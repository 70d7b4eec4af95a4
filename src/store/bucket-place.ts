import type { WalholdError } from '../base/errors.ts';
import { abortable } from './abortable.ts';

/** A repository's part of a bucket. */
export interface BucketPlace {
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

export interface BucketPlaceSettings {
  scheme: 's3' | 'gs';
  bucket: string;
  /** Without slashes at its ends; empty for the whole bucket. */
  prefix: string;
  requestTimeoutMs: number;
  /** What a failed request means. */
  failure: (what: string, error: unknown) => WalholdError;
}

export function bucketPlace(settings: BucketPlaceSettings): BucketPlace {
  const { scheme, bucket, prefix, requestTimeoutMs, failure } = settings;
  const inside = prefix === '' ? '' : `${prefix}/`;
  return {
    bucket,
    url: prefix === '' ? `${scheme}://${bucket}` : `${scheme}://${bucket}/${prefix}`,
    keyOf: (key) => inside + key,
    ownKey: (bucketKey) => (bucketKey.startsWith(inside) ? bucketKey.slice(inside.length) : undefined),
    async ask(what, signal, request) {
      signal.throwIfAborted();
      const timeout = new AbortController();
      const late = (): void => timeout.abort(new Error(`no answer within ${requestTimeoutMs} ms`));
      // A client's own time-out ends with the headers; a body can stop coming too.
      const timer = setTimeout(late, requestTimeoutMs);
      const either = AbortSignal.any([signal, timeout.signal]);
      try {
        return await abortable(either, request({ abortSignal: either }));
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        throw failure(`could not ${what}`, timeout.signal.aborted ? timeout.signal.reason : error);
      } finally {
        clearTimeout(timer);
      }
    },
  };
}
