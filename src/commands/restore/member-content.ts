/** What becomes of the members of an archive as their bytes come by. */
import { createHash, type Hash } from 'node:crypto';
import { closeSync, ftruncateSync, writeSync } from 'node:fs';
import { WalholdError } from '../../base/errors.ts';
import type { JoinState } from '../../repository/join-state.ts';
import type { PieceFile } from '../../repository/restore-pieces.ts';
import { attempt } from './target-places.ts';

/** One member on its way. The chunks are only lent. */
export interface MemberContent {
  write(chunk: Uint8Array): void;
  /** All has come. Closes what is open, and throws `damaged` unless it is what the manifest says. */
  end(): JoinStep | undefined;
  /** Gives up before the end; whatever is open gets closed. */
  close(): void;
}

/** How far a file is joined after one more link: what is in its place, or, after the last one, what the whole is. */
export type JoinStep = { path: string } & ({ state: JoinState } | { size: number; sha256: string });

/** Nothing of it is needed. */
export const UNUSED: MemberContent = { write() {}, end: () => undefined, close() {} };

/** Counts and digests what comes. */
export class ContentProof {
  readonly #expected: PieceFile;
  readonly #hash: Hash = createHash('sha256');
  #bytes = 0;

  constructor(expected: PieceFile) {
    this.#expected = expected;
  }

  /** Bytes that have come before. */
  get bytes(): number {
    return this.#bytes;
  }

  add(chunk: Uint8Array): void {
    this.#hash.update(chunk);
    this.#bytes += chunk.length;
  }

  /** Throws `damaged` unless all that came is what the manifest says. */
  prove(): void {
    const { path, size, sha256 } = this.#expected;
    const found = this.#hash.digest('hex');
    if (this.#bytes === size && found === sha256) return;
    const shown = typeof path === 'string' ? path : Buffer.from(path).toString('latin1');
    throw new WalholdError('damaged', `${shown} is not what was backed up`, {
      detail: `it has ${this.#bytes} bytes and the SHA-256 ${found}; the manifest says ${size} and ${sha256}`,
    });
  }
}

/** What lies between two multiples of this in the file, or as much of it as comes at once, stays a hole if it is zeros. */
const HOLE_BYTES = 64 * 1024;
const ZEROS = Buffer.alloc(HOLE_BYTES);

/** A file as it is stored, without blocks where it has long ranges of zeros. */
export class WholeFile implements MemberContent {
  readonly #fd: number;
  readonly #path: Buffer;
  readonly #proof: ContentProof;
  #endsInHole = false;

  /** The descriptor is closed at the end. */
  constructor(fd: number, path: Buffer, expected: PieceFile) {
    this.#fd = fd;
    this.#path = path;
    this.#proof = new ContentProof(expected);
  }

  write(chunk: Uint8Array): void {
    const position = this.#proof.bytes;
    this.#proof.add(chunk);
    let from = 0;
    // What is written together ends where a hole begins.
    for (let at = 0; at < chunk.length;) {
      const end = Math.min(chunk.length, at + HOLE_BYTES - ((position + at) % HOLE_BYTES));
      if (ZEROS.compare(chunk, at, end, 0, end - at) === 0) {
        if (from < at) writeAll(this.#fd, this.#path, chunk.subarray(from, at), position + from);
        from = end;
      }
      at = end;
    }
    this.#endsInHole = from === chunk.length;
    if (from < chunk.length) writeAll(this.#fd, this.#path, chunk.subarray(from), position + from);
  }

  end(): undefined {
    attempt(this.#path, () => {
      if (this.#endsInHole) ftruncateSync(this.#fd, this.#proof.bytes);
      closeSync(this.#fd);
    });
    this.#proof.prove();
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** Writes all of it, at `position` or where the last write ended. */
export function writeAll(fd: number, path: Buffer, bytes: Uint8Array, position: number | undefined): void {
  attempt(path, () => {
    for (let at = 0; at < bytes.length;) {
      at += writeSync(fd, bytes, at, bytes.length - at, position === undefined ? null : position + at);
    }
  });
}
