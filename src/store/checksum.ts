import { crc32c } from '@node-rs/crc32';

/** CRC-32C, continued from `before`: the sum of two pieces is that of their concatenation. */
export function addCrc32c(before: number, bytes: Uint8Array): number {
  return crc32c(bytes, before);
}

/** As S3 and GCS write it: base64 of the four bytes, most significant first. */
export function checksumText(sum: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(sum >>> 0);
  return bytes.toString('base64');
}

/** The reverse of `checksumText`; `undefined` for what is none. */
export function parseChecksum(text: string | undefined): number | undefined {
  const bytes = Buffer.from(text ?? '', 'base64');
  return bytes.byteLength === 4 ? bytes.readUInt32BE() : undefined;
}
