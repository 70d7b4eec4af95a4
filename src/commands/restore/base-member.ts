import { createHash, type Hash } from 'node:crypto';
import { closeSync, ftruncateSync } from 'node:fs';
import { isTaken, isUnchanged, type JoinState } from '../../repository/join-state.ts';
import type { PieceFile } from '../../repository/restore-pieces.ts';
import { readWhole } from './incremental-member.ts';
import { ContentProof, type JoinStep, type MemberContent } from './member-content.ts';
import { holdsZeros, writeSparse } from './sparse-write.ts';
import { attempt } from './target-places.ts';

export interface BaseTarget {
  blockBytes: number;
  /** The joined file, open for reading and writing; closed at the end. */
  fd: number;
  path: Buffer;
  name: string;
}

/** Read back at once. */
const READ_BYTES = 256 * 1024;

/**
 * The whole file at the bottom of a joined one. Those of its blocks that are needed go to their place as they come, between those that
 * are there already, and the digest of the joined file is made on the way: each block of it is written once, and from the store read once.
 * Where it is read again from elsewhere, the same places are written again.
 */
export class BaseMember implements MemberContent {
  readonly #expected: PieceFile;
  readonly #target: BaseTarget;
  readonly #state: JoinState;
  readonly #proof: ContentProof;
  /** `undefined`: the joined file is this one. */
  readonly #joined: Hash | undefined;
  /** Bytes of the joined file that are in its digest. */
  #hashed = 0;
  /** Bytes of this one that may be needed. */
  readonly #useful: number;

  constructor(expected: PieceFile, state: JoinState, target: BaseTarget) {
    const { blockBytes, fd, path } = target;
    this.#expected = expected;
    this.#target = target;
    this.#state = state;
    this.#proof = new ContentProof(expected);
    this.#joined = isUnchanged(state, expected.size, blockBytes) ? undefined : createHash('sha256');
    // Half a block at the end is nobody's.
    this.#useful = Math.min(Math.floor(expected.size / blockBytes), state.limit) * blockBytes;
    attempt(path, () => ftruncateSync(fd, state.blocks * blockBytes));
  }

  write(chunk: Uint8Array): void {
    const from = this.#proof.bytes;
    this.#proof.add(chunk);
    const end = Math.min(from + chunk.length, this.#useful);
    for (let at = from; at < end;) {
      const to = Math.min(this.#endOfRun(at, end), end);
      if (!this.#isTaken(at)) this.#place(chunk.subarray(at - from, to - from), at);
      at = to;
    }
  }

  end(): JoinStep {
    const { fd, path, name, blockBytes } = this.#target;
    const size = this.#state.blocks * blockBytes;
    try {
      this.#proof.prove();
      this.#hashUpTo(size);
    } finally {
      attempt(path, () => closeSync(fd));
    }
    return { path: name, size, sha256: this.#joined?.digest('hex') ?? this.#expected.sha256 };
  }

  close(): void {
    closeSync(this.#target.fd);
  }

  #place(bytes: Uint8Array, position: number): void {
    const { fd, path } = this.#target;
    // Another reading of it may have come to other bytes.
    writeSparse(fd, path, bytes, position, (from, length) => holdsZeros(fd, path, from, length));
    if (this.#joined === undefined) return;
    this.#hashUpTo(position);
    this.#joined.update(bytes);
    this.#hashed = position + bytes.length;
  }

  /** What lies there already, zeros included, is in its final state. */
  #hashUpTo(position: number): void {
    const { fd, path } = this.#target;
    if (this.#joined === undefined) return;
    while (this.#hashed < position) {
      const piece = Buffer.allocUnsafe(Math.min(READ_BYTES, position - this.#hashed));
      readWhole(fd, path, piece, this.#hashed);
      this.#joined.update(piece);
      this.#hashed += piece.length;
    }
  }

  #isTaken(position: number): boolean {
    return isTaken(this.#state.taken, Math.floor(position / this.#target.blockBytes));
  }

  /** Where the blocks from this position on stop to be all taken, or all not. */
  #endOfRun(position: number, end: number): number {
    const { blockBytes } = this.#target;
    const { taken } = this.#state;
    if (taken === undefined) return end;
    const first = Math.floor(position / blockBytes);
    const kind = isTaken(taken, first);
    let block = first + 1;
    while (block * blockBytes < end && isTaken(taken, block) === kind) block += 1;
    return block * blockBytes;
  }
}
