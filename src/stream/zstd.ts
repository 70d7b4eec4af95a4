/**
 * zstd, and the only importer of it. Synchronous: on big inputs call it in a worker thread.
 *
 * Frames carry their content size where it is known and a checksum, as the `zstd` command writes them.
 */
import { createRequire } from 'node:module';
import type * as Binding from 'zstd-napi/binding.js';
import { WalholdError, reasonOf } from '../base/errors.ts';
import { newRoom, type Room } from '../base/room.ts';

// A CommonJS module of enums and classes: required, so that bundling leaves it alone and loading stays synchronous.
const zstd = createRequire(import.meta.url)('zstd-napi/binding.js') as typeof Binding;

/** Output is handed out in pieces of about this size. */
const OUT_BYTES = 256 * 1024;

/** One complete frame of a buffer. */
export function compressFrame(plain: Uint8Array, level: number): Uint8Array {
  const context = new zstd.CCtx();
  configure(context, level);
  const out = Buffer.allocUnsafeSlow(zstd.compressBound(plain.length));
  return out.subarray(0, context.compress2(out, plain));
}

/**
 * Level 1's own table of 64 kB falls out of the processor's first cache again and again; one of 16 kB does not. Measured on WAL: a tenth
 * faster, and at most two hundredths larger.
 */
const LEVEL_1_HASH_LOG = 12;

/** Complete frames of one buffer after another, with what the first one needed. */
export class FrameCompressor {
  readonly #context: Binding.CCtx = new zstd.CCtx();
  #out: Buffer = Buffer.alloc(0);

  constructor(level: number) {
    configure(this.#context, level);
    if (level === 1) this.#context.setParameter(zstd.CParameter.hashLog, LEVEL_1_HASH_LOG);
  }

  /** A view that is overwritten by the next call. */
  compress(plain: Uint8Array): Uint8Array {
    const bound = zstd.compressBound(plain.length);
    if (this.#out.length < bound) this.#out = Buffer.allocUnsafeSlow(bound);
    return this.#out.subarray(0, this.#context.compress2(this.#out, plain));
  }
}

/**
 * For frames made piece by piece zstd keeps a copy of what it looks back to. Level 1's half a megabyte is more than its table remembers the
 * places of; a quarter of it, with half the table, stays near the processor. Measured on tables: a tenth faster to write and to read, and
 * no larger.
 */
const LEVEL_1_STREAM = { windowLog: 17, hashLog: 13 };

/** Frames made piece by piece with one context. Between `end` and the next `write` a new frame begins. */
export class FrameWriter {
  readonly #context: Binding.CCtx = new zstd.CCtx();
  #out: Buffer = Buffer.allocUnsafeSlow(OUT_BYTES);
  /** Where in it the bytes begin that are not handed out yet. */
  #from = 0;
  #used = 0;

  constructor(level: number) {
    configure(this.#context, level);
    if (level !== 1) return;
    this.#context.setParameter(zstd.CParameter.windowLog, LEVEL_1_STREAM.windowLog);
    this.#context.setParameter(zstd.CParameter.hashLog, LEVEL_1_STREAM.hashLog);
  }

  /** Before the first `write` of a frame whose content will be exactly so long: its header says so then, and small ones are faster. */
  begin(plainBytes: number): void {
    this.#context.setPledgedSrcSize(plainBytes);
  }

  /** Compresses a chunk, handing every full output buffer to `emit`, who then owns it. The chunk is free again on return. */
  write(chunk: Uint8Array, emit: (bytes: Uint8Array) => void): void {
    let at = 0;
    while (at < chunk.length) {
      const [, produced, consumed] = this.#context.compressStream2(
        this.#out.subarray(this.#used),
        at === 0 ? chunk : chunk.subarray(at),
        zstd.EndDirective.continue,
      );
      at += consumed;
      this.#used += produced;
      if (this.#used === this.#out.length) this.#flush(emit);
    }
  }

  /** Ends the frame and hands out what is left of it. */
  end(emit: (bytes: Uint8Array) => void): void {
    const nothing = new Uint8Array(0);
    for (;;) {
      const [left, produced] = this.#context.compressStream2(
        this.#out.subarray(this.#used),
        nothing,
        zstd.EndDirective.end,
      );
      this.#used += produced;
      if (left === 0) break;
      this.#flush(emit);
    }
    this.#flush(emit);
  }

  /** The rest of the buffer goes on with the next frame: small frames shall not cost a buffer each. */
  #flush(emit: (bytes: Uint8Array) => void): void {
    if (this.#used === this.#from) return;
    const piece = this.#out.subarray(this.#from, this.#used);
    this.#from = this.#used;
    if (this.#used === this.#out.length) {
      this.#out = Buffer.allocUnsafeSlow(OUT_BYTES);
      this.#from = 0;
      this.#used = 0;
    }
    emit(piece);
  }
}

/**
 * All frames of a buffer (skippable ones pass unseen) as one. Throws `damaged` for bytes that are no zstd, for a frame cut short,
 * and as soon as more than `maxBytes` would come out: the sizes that frames declare are never believed.
 */
export function decompressFrames(frames: Uint8Array, maxBytes: number, room: Room = newRoom): Buffer {
  const out = room(maxBytes);
  try {
    return out.subarray(0, (wholeFrames ??= new zstd.DCtx()).decompress(out, frames));
  } catch {
    // Piece by piece it tells what is wrong.
    return decompressPieces(frames, out);
  }
}

/** Straight into one buffer: nothing is copied on the way. */
let wholeFrames: Binding.DCtx | undefined;

function decompressPieces(frames: Uint8Array, out: Buffer): Buffer {
  const maxBytes = out.length;
  let used = 0;
  const reader = new FrameReader();
  reader.write(frames, (bytes) => {
    if (used + bytes.length > maxBytes) throw tooMuch(maxBytes);
    out.set(bytes, used);
    used += bytes.length;
  });
  reader.end();
  return out.subarray(0, used);
}

/** Frames read piece by piece. */
export class FrameReader {
  readonly #context: Binding.DCtx = new zstd.DCtx();
  readonly #out: Buffer = Buffer.allocUnsafeSlow(OUT_BYTES);
  /** What zstd still wants to complete the frame at hand; 0 between frames. */
  #wanted = 0;

  /**
   * Decompresses a chunk. `emit` gets a view that is overwritten after it returns; `ended` is told after each frame how many bytes
   * of the chunk were read by then. Throws `damaged`.
   */
  write(chunk: Uint8Array, emit: (bytes: Uint8Array) => void, ended?: (at: number) => void): void {
    let at = 0;
    let produced = 0;
    // A full output buffer may hide more behind it, even when all input is taken.
    while (at < chunk.length || produced === this.#out.length) {
      const result = this.#step(at === 0 ? chunk : chunk.subarray(at));
      produced = result[1];
      at += result[2];
      if (result[2] > 0 || produced > 0) this.#wanted = result[0];
      if (produced > 0) emit(this.#out.subarray(0, produced));
      if (produced === 0 && result[2] === 0) break;
      if (this.#wanted === 0) ended?.(at);
    }
  }

  /** Throws `damaged` unless the input ended with a frame. */
  end(): void {
    if (this.#wanted !== 0) throw new WalholdError('damaged', 'compressed data ends within a frame');
  }

  #step(input: Uint8Array): [number, number, number] {
    try {
      return this.#context.decompressStream(this.#out, input);
    } catch (error) {
      throw new WalholdError('damaged', 'could not decompress', { detail: reasonOf(error), cause: error });
    }
  }
}

function configure(context: Binding.CCtx, level: number): void {
  context.setParameter(zstd.CParameter.compressionLevel, level);
  context.setParameter(zstd.CParameter.checksumFlag, 1);
}

function tooMuch(maxBytes: number): WalholdError {
  return new WalholdError('damaged', `compressed data holds more than the ${maxBytes} bytes it may`);
}
