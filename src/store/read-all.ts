import { WalholdError } from '../base/errors.ts';
import type { ByteRange, ObjectInfo, ReadOptions, Store } from './store.ts';

/**
 * Reads an object, or a range of it, into one buffer. `undefined`: proven absent. Throws `damaged` when more than `maxBytes` come:
 * nothing read from a repository is believed to be small.
 */
export async function readAll(
  store: Store,
  key: string,
  options: ReadOptions & { maxBytes: number; range?: ByteRange },
): Promise<{ info: ObjectInfo; bytes: Buffer } | undefined> {
  const { maxBytes, ...reading } = options;
  const opened = await store.open(key, reading);
  if (opened === undefined) return undefined;
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of opened.chunks) {
    bytes += chunk.length;
    if (bytes > maxBytes) {
      throw new WalholdError('damaged', `could not trust ${key} in ${store.url}`, {
        detail: `it is larger than the ${maxBytes} bytes it may be`,
      });
    }
    chunks.push(chunk);
  }
  return { info: opened.info, bytes: joined(chunks, bytes) };
}

function joined(chunks: readonly Uint8Array[], bytes: number): Buffer {
  const [only] = chunks;
  if (only === undefined || chunks.length > 1) return Buffer.concat(chunks, bytes);
  return Buffer.from(only.buffer, only.byteOffset, only.byteLength);
}
