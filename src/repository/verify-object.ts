/** Reads a whole object that begins with its description, keeping no more of it than asked, and proves every byte. */
import { WalholdError } from '../base/errors.ts';
import { crc32c, Digest } from '../stream/checksum.ts';
import { FrameReader } from '../stream/zstd.ts';
import { HEAD_MAX_BYTES, parseHead, type ObjectHead } from './object-head.ts';

export interface VerifiedObject {
  head: ObjectHead;
  /** The first bytes of the plain content, at most as many as asked for. In the room that was given, if one was. */
  start: Buffer;
  /** All bytes of the object. */
  storedBytes: number;
}

/**
 * `keep`: so many bytes of the content, or room for them. The head's own checksum, length and CRC-32C of all that follows, size and SHA-256 of the plain content. `object` is for messages.
 * Throws `damaged`.
 */
export async function verifyObject(
  chunks: AsyncIterable<Uint8Array>,
  object: string,
  keep: number | Buffer,
): Promise<VerifiedObject> {
  let reader: ContentReader | undefined;
  let beginning = Buffer.alloc(0);
  const begin = (): ContentReader => {
    const { head, frameBytes } = parseHead(beginning, object);
    const content = new ContentReader(head, object, keep);
    content.write(beginning.subarray(frameBytes));
    return content;
  };
  for await (const chunk of chunks) {
    if (reader === undefined) {
      beginning = Buffer.concat([beginning, chunk]);
      if (beginning.length >= HEAD_MAX_BYTES) reader = begin();
    } else reader.write(chunk);
  }
  reader ??= begin();
  return reader.end();
}

class ContentReader {
  readonly #head: ObjectHead;
  readonly #object: string;
  readonly #frames: FrameReader = new FrameReader();
  readonly #digest: Digest = new Digest();
  readonly #start: Buffer;
  #kept = 0;
  #stored = 0;
  #crc = 0;

  constructor(head: ObjectHead, object: string, keep: number | Buffer) {
    this.#head = head;
    this.#object = object;
    this.#start =
      typeof keep === 'number'
        ? Buffer.alloc(Math.min(keep, head.bytes))
        : keep.subarray(0, Math.min(keep.length, head.bytes));
  }

  write(stored: Uint8Array): void {
    this.#stored += stored.length;
    this.#crc = crc32c(stored, this.#crc);
    if (this.#stored > this.#head.storedBytes)
      throw this.#wrong(`more than ${this.#head.storedBytes} bytes follow its description`);
    this.#frames.write(stored, (plain) => {
      if (this.#kept < this.#start.length) {
        const piece = plain.subarray(0, this.#start.length - this.#kept);
        this.#start.set(piece, this.#kept);
        this.#kept += piece.length;
      }
      this.#digest.update(plain);
      // The sizes that frames declare are never believed: a small object can hold petabytes.
      if (this.#digest.bytes > this.#head.bytes)
        throw this.#wrong(`it holds more than ${this.#head.bytes} bytes of content`);
    });
  }

  end(): VerifiedObject {
    const { storedBytes, storedCrc32c, bytes, sha256 } = this.#head;
    if (this.#stored !== storedBytes)
      throw this.#wrong(`${this.#stored} bytes follow its description, not ${storedBytes}`);
    if (this.#crc !== storedCrc32c) {
      throw this.#wrong(`the CRC-32C of its bytes is ${this.#crc.toString(16)}, not ${storedCrc32c.toString(16)}`);
    }
    this.#frames.end();
    if (this.#digest.bytes !== bytes)
      throw this.#wrong(`it holds ${this.#digest.bytes} bytes of content, not ${bytes}`);
    const found = this.#digest.sha256();
    if (found !== sha256) throw this.#wrong(`the SHA-256 of its content is ${found}, not ${sha256}`);
    return { head: this.#head, start: this.#start, storedBytes: this.#stored };
  }

  #wrong(detail: string): WalholdError {
    return new WalholdError('damaged', `could not trust ${this.#object}`, { detail });
  }
}
