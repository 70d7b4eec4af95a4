/** Running checks over bytes that pass by. Observers: they never change what they see. */
import { createHash, type Hash } from 'node:crypto';
import { crc32c as nativeCrc32c } from '@node-rs/crc32';

/** CRC-32C (Castagnoli) of `bytes`, going on from `before`. */
export function crc32c(bytes: Uint8Array, before = 0): number {
  return nativeCrc32c(asBuffer(bytes), before);
}

/** SHA-256 of a whole buffer, 64 hex digits. */
export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** SHA-256 and length of what has passed. */
export class Digest {
  readonly #hash: Hash = createHash('sha256');
  bytes = 0;

  update(chunk: Uint8Array): void {
    this.#hash.update(chunk);
    this.bytes += chunk.length;
  }

  /** 64 hex digits; ends the digest. */
  sha256(): string {
    return this.#hash.digest('hex');
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
