/**
 * One part of a backup (or its configuration) as its bytes pass by: length, CRC-32C and SHA-256 of what is stored, each frame, the
 * tar header and the content of each file, and the tail. Nothing is kept.
 */
import { createHash, type Hash } from 'node:crypto';
import { WalholdError } from '../base/errors.ts';
import { crc32c } from '../stream/checksum.ts';
import { FrameReader } from '../stream/zstd.ts';
import type { FileRecord, FrameRecord, StoredRecord } from './backup-record.ts';
import { parseTail, TAIL_BYTES, type ObjectHead } from './object-head.ts';
import { tarHeaderFault } from './tar-header-fault.ts';

const TAR_BLOCK = 512;

export interface PartExpectation {
  /** For messages. */
  object: string;
  stored: StoredRecord;
  /** `undefined`: the record names none, and the content is read as one stream. */
  frames: readonly FrameRecord[] | undefined;
  /** Called for each file that the record names, in order, with the SHA-256 of its content and what is wrong with its tar header. */
  onFile: (file: FileRecord, sha256: string, headerFault: string | undefined) => void;
}

export class PartCheck {
  readonly #expected: PartExpectation;
  readonly #contentBytes: number;
  readonly #frames: Iterator<FrameRecord>;
  #frame: FrameRecord | undefined;
  #content: FrameContent | undefined;
  readonly #reader: FrameReader = new FrameReader();
  readonly #hash: Hash = createHash('sha256');
  readonly #tail: Buffer = Buffer.alloc(TAIL_BYTES);
  #stored = 0;
  #plain = 0;
  #crc = 0;

  constructor(expected: PartExpectation) {
    this.#expected = expected;
    const { storedBytes, plainBytes } = expected.stored;
    this.#contentBytes = storedBytes - TAIL_BYTES;
    const whole = { offset: 0, storedBytes: this.#contentBytes, plainBytes, files: [] };
    this.#frames = (expected.frames ?? [whole])[Symbol.iterator]();
    this.#nextFrame();
  }

  /** The next bytes of the object. Throws `damaged`. */
  write(chunk: Uint8Array): void {
    const content = chunk.subarray(0, Math.max(0, this.#contentBytes - this.#stored));
    if (content.length > 0) this.#writeContent(content);
    const tail = chunk.subarray(content.length);
    const at = this.#stored + content.length - this.#contentBytes;
    if (tail.length > 0 && at + tail.length > TAIL_BYTES) throw this.#wrong('it is longer than the record says');
    if (tail.length > 0) this.#tail.set(tail, at);
    this.#stored += chunk.length;
  }

  /** After the last byte: proves the rest. Answers what the tail says; whose it is, is for the caller to judge. Throws `damaged`. */
  end(): ObjectHead {
    const { storedBytes, sha256, crc32c: crc, plainBytes } = this.#expected.stored;
    if (this.#stored !== storedBytes) throw this.#wrong(`it has ${this.#stored} bytes, not ${storedBytes}`);
    if (this.#frame !== undefined) throw this.#wrong('it ends within a frame');
    if (this.#crc !== crc) throw this.#wrong(`the CRC-32C of its bytes is ${this.#crc}, not ${crc}`);
    const found = this.#hash.digest('hex');
    if (found !== sha256) throw this.#wrong(`the SHA-256 of its bytes is ${found}, not ${sha256}`);
    if (this.#plain !== plainBytes) throw this.#wrong(`it holds ${this.#plain} bytes of content, not ${plainBytes}`);
    const tail = parseTail(this.#tail, this.#expected.object);
    if (tail.sha256 !== sha256 || tail.storedCrc32c !== crc || tail.storedBytes !== this.#contentBytes) {
      throw this.#wrong('its end describes other bytes than the record does');
    }
    return tail;
  }

  #writeContent(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    this.#crc = crc32c(bytes, this.#crc);
    let from = 0;
    while (from < bytes.length) {
      const frame = this.#frame;
      if (frame === undefined) throw this.#wrong('bytes follow its last frame');
      const left = frame.offset + frame.storedBytes - (this.#stored + from);
      const piece = bytes.subarray(from, from + left);
      this.#reader.write(piece, (plain) => this.#content?.write(plain));
      from += piece.length;
      if (piece.length === left) this.#endFrame(frame);
    }
  }

  #endFrame(frame: FrameRecord): void {
    this.#reader.end();
    const found = this.#content?.end() ?? 0;
    if (found !== frame.plainBytes) {
      throw this.#wrong(`the frame at byte ${frame.offset} holds ${found} bytes, not ${frame.plainBytes}`);
    }
    this.#plain += found;
    this.#nextFrame();
  }

  #nextFrame(): void {
    const next = this.#frames.next();
    this.#frame = next.done === true ? undefined : next.value;
    this.#content = this.#frame === undefined ? undefined : new FrameContent(this.#frame, this.#expected);
  }

  #wrong(detail: string): WalholdError {
    return new WalholdError('damaged', `could not trust ${this.#expected.object}`, { detail });
  }
}

/** The plain bytes of one frame: tar headers and padding between the contents of the files that the record names. */
class FrameContent {
  readonly #frame: FrameRecord;
  readonly #expected: PartExpectation;
  readonly #header: Buffer = Buffer.alloc(TAR_BLOCK);
  #hash: Hash = createHash('sha256');
  #files = 0;
  #at = 0;

  constructor(frame: FrameRecord, expected: PartExpectation) {
    this.#frame = frame;
    this.#expected = expected;
  }

  write(plain: Uint8Array): void {
    if (this.#at + plain.length > this.#frame.plainBytes) {
      const detail = `the frame at byte ${this.#frame.offset} holds more than ${this.#frame.plainBytes} bytes`;
      throw new WalholdError('damaged', `could not trust ${this.#expected.object}`, { detail });
    }
    let from = 0;
    while (from < plain.length) {
      const file = this.#frame.files[this.#files];
      const end = file === undefined ? Infinity : this.#at < file.at ? file.at : file.at + file.size;
      const piece = plain.subarray(from, from + (end - this.#at));
      if (file !== undefined && this.#at >= file.at) this.#hash.update(piece);
      else if (file !== undefined) this.#keepHeader(piece, file);
      this.#at += piece.length;
      from += piece.length;
      this.#finishFiles();
    }
  }

  /** How many bytes the frame held. */
  end(): number {
    return this.#at;
  }

  /** The block right before a file's content is its tar header. */
  #keepHeader(piece: Uint8Array, file: FileRecord): void {
    const start = file.at - TAR_BLOCK;
    const from = Math.max(0, start - this.#at);
    if (from < piece.length) this.#header.set(piece.subarray(from), this.#at + from - start);
  }

  #finishFiles(): void {
    const file = this.#frame.files[this.#files];
    if (file === undefined || this.#at < file.at + file.size) return;
    this.#files += 1;
    this.#expected.onFile(file, this.#hash.digest('hex'), tarHeaderFault(this.#header, file));
    this.#hash = createHash('sha256');
  }
}
