import { closeSync, constants, openSync, readSync } from 'node:fs';
import { WalholdError } from '../../base/errors.ts';
import { parseIncrementalHeader, type IncrementalHeader } from '../../postgres/incremental-file.ts';
import { addIncrement, type BlockRun } from '../../repository/join-state.ts';
import type { PieceFile } from '../../repository/restore-pieces.ts';
import { ContentProof, type JoinStep, type MemberContent } from './member-content.ts';
import { writeAll, writeSparse } from './sparse-write.ts';
import { attempt } from './target-places.ts';

/** How blocks lie in a cluster's files (pg_control). */
export interface BlockLayout {
  blockBytes: number;
  blocksPerFile: number;
}

/** What the incremental files of one thread need. */
export interface IncrementalTarget {
  layout: BlockLayout;
  /** The joined file; made now if no newer link has made it. */
  open: () => number;
  /** A new file for what is too long to be kept in memory, without a name. */
  openSpool: () => number;
  /** Of the joined file. */
  path: Buffer;
  name: string;
}

/** Longer ones wait on disk. */
const MEMORY_BYTES = 4 * 1024 * 1024;
/** Copied at once from there. */
const COPY_BYTES = 1024 * 1024;

/**
 * An incremental file: kept until all of it has come and is proven, then those of its blocks that no newer link has given are put in their
 * place. So nothing wrong ever gets into the joined file, and the member can be read from elsewhere.
 */
export class IncrementalMember implements MemberContent {
  readonly #expected: PieceFile;
  readonly #target: IncrementalTarget;
  readonly #proof: ContentProof;
  readonly #memory: Buffer | undefined;
  readonly #spool: number | undefined;

  constructor(expected: PieceFile, target: IncrementalTarget) {
    this.#expected = expected;
    this.#target = target;
    this.#proof = new ContentProof(expected);
    if (expected.size <= MEMORY_BYTES) this.#memory = Buffer.allocUnsafe(expected.size);
    else this.#spool = target.openSpool();
  }

  write(chunk: Uint8Array): void {
    const at = this.#proof.bytes;
    this.#proof.add(chunk);
    if (this.#spool !== undefined) writeAll(this.#spool, this.#target.path, chunk, at);
    else this.#memory?.set(chunk, at);
  }

  end(): JoinStep {
    try {
      this.#proof.prove();
      const header = this.#header();
      const { state, runs } = addIncrement(this.#expected.join, header);
      if (runs.length > 0) this.#place(runs, header.headerBytes);
      return { path: this.#target.name, state };
    } finally {
      this.close();
    }
  }

  close(): void {
    if (this.#spool !== undefined) closeSync(this.#spool);
  }

  #header(): IncrementalHeader {
    const { layout, name } = this.#target;
    const { size } = this.#expected;
    for (let bytes = Math.min(size, layout.blockBytes); ;) {
      const header = parseIncrementalHeader(this.#read(0, bytes), layout);
      if ('needs' in header) {
        if (header.needs > size) throw misfit(name, `it ends within its header`);
        bytes = header.needs;
        continue;
      }
      const whole = header.headerBytes + header.blocks.length * layout.blockBytes;
      if (whole !== size) throw misfit(name, `it has ${size} bytes, its header counts ${whole}`);
      return header;
    }
  }

  #place(runs: readonly BlockRun[], from: number): void {
    const { path, layout } = this.#target;
    const { blockBytes } = layout;
    const fd = this.#target.open();
    try {
      for (const { index, block, count } of runs) {
        const bytes = count * blockBytes;
        for (let at = 0; at < bytes; at += COPY_BYTES) {
          const piece = this.#read(from + index * blockBytes + at, Math.min(COPY_BYTES, bytes - at));
          writeSparse(fd, path, piece, block * blockBytes + at);
        }
      }
    } finally {
      attempt(path, () => closeSync(fd));
    }
  }

  /** The range lies within what has come. */
  #read(from: number, bytes: number): Uint8Array {
    if (this.#memory !== undefined) return this.#memory.subarray(from, from + bytes);
    const piece = Buffer.allocUnsafe(bytes);
    readWhole(this.#spool ?? -1, this.#target.path, piece, from);
    return piece;
  }
}

/** Opens a file that an earlier member of the same restore has made. */
export function openMade(path: Buffer): number {
  return attempt(path, () => openSync(path, constants.O_RDWR | constants.O_NOFOLLOW));
}

/** Fills the buffer from there; the file must be so long. */
export function readWhole(fd: number, path: Buffer, into: Buffer, position: number): void {
  attempt(path, () => {
    for (let at = 0; at < into.length;) {
      const bytes = readSync(fd, into, at, into.length - at, position + at);
      if (bytes === 0) throw new RangeError('it has become shorter');
      at += bytes;
    }
  });
}

function misfit(name: string, detail: string): WalholdError {
  return new WalholdError('damaged', `the incremental file of ${name} cannot be trusted`, { detail });
}
