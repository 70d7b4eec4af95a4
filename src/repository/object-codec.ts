/** Objects kept in one buffer: WAL files and manifests. Head, then one zstd frame of the plain content. */
import { newRoom, type Room } from '../base/room.ts';
import { crc32c, sha256 } from '../stream/checksum.ts';
import { compressFrame, decompressFrames } from '../stream/zstd.ts';
import { damaged, formatHead, parseHead, type ObjectAbout, type ObjectHead } from './object-head.ts';

export interface EncodedObject {
  head: ObjectHead;
  /** Head and frame: what is stored. */
  bytes: Uint8Array;
}

/** Gives one complete frame; the bytes are only good until the next one. */
export type Compress = (plain: Uint8Array) => Uint8Array;

/** Describes and compresses `plain`. `digest` is its SHA-256 where the caller has it already; in `room` the object is put together. */
export function encodeObject(
  plain: Uint8Array,
  about: ObjectAbout,
  level: number | Compress,
  digest?: string,
  room: Room = newRoom,
): EncodedObject {
  const frame = typeof level === 'number' ? compressFrame(plain, level) : level(plain);
  const head: ObjectHead = {
    format: 1,
    ...about,
    sha256: digest ?? sha256(plain),
    bytes: plain.length,
    storedBytes: frame.length,
    storedCrc32c: crc32c(frame),
  };
  const headFrame = formatHead(head);
  const bytes = room(headFrame.length + frame.length);
  bytes.set(headFrame);
  bytes.set(frame, headFrame.length);
  return { head, bytes };
}

/**
 * The plain content of a whole object, proven: the head's checksum, length and CRC-32C of what follows, then size and SHA-256 of
 * what comes out. `maxBytes` bounds the plain size, `room` is for it; `object` is for messages. Throws `damaged`.
 */
export function decodeObject(
  stored: Uint8Array,
  object: string,
  maxBytes: number,
  room: Room = newRoom,
): { head: ObjectHead; plain: Buffer } {
  const { head, frameBytes } = parseHead(stored, object);
  const frame = stored.subarray(frameBytes);
  checkStored(head, frame, object);
  if (head.bytes > maxBytes) throw damaged(object, `it says ${head.bytes} bytes, at most ${maxBytes} can be right`);
  const plain = decompressFrames(frame, head.bytes, room);
  if (plain.length !== head.bytes)
    throw damaged(object, `it holds ${plain.length} bytes of content, not ${head.bytes}`);
  const found = sha256(plain);
  if (found !== head.sha256) throw damaged(object, `the SHA-256 of its content is ${found}, not ${head.sha256}`);
  return { head, plain };
}

/** Length and CRC-32C of the stored bytes against the head: sees a flipped bit anywhere, without decompressing. */
export function checkStored(head: ObjectHead, frame: Uint8Array, object: string): void {
  if (frame.length !== head.storedBytes) {
    throw damaged(object, `${frame.length} bytes follow its description, not ${head.storedBytes}`);
  }
  const sum = crc32c(frame);
  if (sum !== head.storedCrc32c) {
    throw damaged(object, `the CRC-32C of its bytes is ${sum.toString(16)}, not ${head.storedCrc32c.toString(16)}`);
  }
}
