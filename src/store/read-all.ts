import { WalholdError } from '../base/errors.ts';
import type { ObjectInfo, OpeningOptions, Store } from './store.ts';

/**
 * Reads an object, or a range of it, into one buffer: in `room`, where that is given and the store can put it there.
 * `undefined`: proven absent. Throws `damaged` when more than `maxBytes` come: nothing read from a repository is believed to be small.
 */
export async function readAll(
  store: Store,
  key: string,
  options: OpeningOptions & { maxBytes: number },
): Promise<{ info: ObjectInfo; bytes: Buffer } | undefined> {
  const { maxBytes, room, ...reading } = options;
  const within = (bytes: number): Buffer | undefined => (bytes > maxBytes ? undefined : room?.(bytes));
  const opened = await store.open(key, { ...reading, room: within });
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
  const [first, ...others] = chunks;
  if (first === undefined) return Buffer.alloc(0);
  let end = first.byteOffset + first.length;
  for (const { buffer, byteOffset, length } of others) {
    if (buffer !== first.buffer || byteOffset !== end) return Buffer.concat(chunks, bytes);
    end += length;
  }
  // They lie one behind the other already.
  return Buffer.from(first.buffer, first.byteOffset, bytes);
}
