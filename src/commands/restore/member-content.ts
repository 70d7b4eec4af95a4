/** What becomes of the members of an archive as their bytes come by. */
import { createHash, type Hash } from 'node:crypto';
import { closeSync, ftruncateSync } from 'node:fs';
import { WalholdError } from '../../base/errors.ts';
import type { JoinState } from '../../repository/join-state.ts';
import type { PieceFile } from '../../repository/restore-pieces.ts';
import { writeSparse } from './sparse-write.ts';
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
    this.#endsInHole = writeSparse(this.#fd, this.#path, chunk, position);
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
