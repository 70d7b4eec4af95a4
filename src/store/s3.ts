/**
 * A bucket, or a prefix of one, as a store, on Amazon's S3 and on servers that speak its protocol. Creation is conditional
 * (`If-None-Match: *`) and checked by the server against a CRC-32C; a server that ignores either is found by `probe.ts`.
 *
 * Memory of a stream being created: `partBuffers` × `partBytes`, 48 MiB unless set otherwise, doubled for every 2,000 parts of one
 * object.
 */
import { WalholdError } from '../base/errors.ts';
import type { S3Settings } from './open-store.ts';
import { requireKeyPrefix, requireObjectKey } from './object-key.ts';
import type { RetryPolicy } from './retry.ts';
import { s3Client, type S3Credentials } from './s3-client.ts';
import { listS3 } from './s3-list.ts';
import { S3Multipart } from './s3-multipart.ts';
import { s3Place } from './s3-place.ts';
import { s3Reader } from './s3-read.ts';
import { uploadStream } from './s3-upload.ts';
import { putObject } from './s3-write.ts';
import type { Store } from './store.ts';

export interface S3StoreSettings extends Omit<S3Settings, 'scheme'> {
  /** Repeats the parts of a stream, and says how long one request may take. Everything else is tried once. */
  policy: RetryPolicy;
  /** At least the 5 MiB that S3 asks of every part but the last. */
  partBytes?: number;
  /** How many of them one stream may have in memory, being filled or sent. */
  partBuffers?: number;
  /** In place of the SDK's chain. */
  credentials?: S3Credentials;
}

/** Loads credentials and region lazily, asks the bucket nothing. Throws `config` for settings that cannot work. */
export async function s3Store(settings: S3StoreSettings): Promise<Store> {
  const { policy, partBytes = 16 * 1024 * 1024, partBuffers = 3 } = settings;
  const client = await s3Client({ ...settings, requestTimeoutMs: policy.requestTimeoutMs });
  const place = s3Place(settings.bucket, settings.prefix, policy.requestTimeoutMs);
  const reader = s3Reader(client, place, policy.requestTimeoutMs);
  return {
    url: place.url,

    async stat(key, { signal }) {
      requireObjectKey(key);
      return reader.stat(key, signal);
    },

    async open(key, { signal, range }) {
      requireObjectKey(key);
      return reader.open(key, range, signal);
    },

    list(prefix, options) {
      requireKeyPrefix(prefix);
      return listS3(client, place, prefix, options);
    },

    async create(key, body, { signal, lock }) {
      requireObjectKey(key);
      if (lock !== undefined) throw new WalholdError('unsupported', 'locks are not supported by this version');
      if (body.kind === 'buffer') return putObject(client, place, key, body.bytes, { ...settings, signal });
      const requests = new S3Multipart(client, place, key, settings);
      return uploadStream(requests, { policy, partBytes, partBuffers }, body.chunks, signal);
    },

    // eslint-disable-next-line typescript/require-await -- other stores have to wait
    async close() {
      client.destroy();
    },

    probe: {
      async createWithWrongChecksum(key, bytes, { signal }) {
        requireObjectKey(key);
        return putObject(client, place, key, bytes, { ...settings, signal, sum: 0xbad });
      },
    },
  };
}
