import { createHash, type Hash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { hasCode, WalholdError } from '../base/errors.ts';
import { sentAgain } from '../store/send-again.ts';
import type { Store } from '../store/store.ts';
import { ChunkQueue } from '../stream/chunk-queue.ts';
import { crc32c } from '../stream/checksum.ts';
import { TAR_END_BYTES } from '../stream/tar-header.ts';
import type { FrameWriter } from '../stream/zstd.ts';
import type { FrameRecord, StoredRecord } from './backup-record.ts';
import { formatTail, TAIL_BYTES, type ObjectAbout } from './object-head.ts';

/** Compressed bytes that may wait for the slowest store. */
const QUEUE_BYTES = 4 * 1024 * 1024;

export interface PartTarget {
  key: string;
  about: ObjectAbout;
  /** All get the same bytes at the same time; the slowest sets the pace. */
  stores: readonly Store[];
  signal: AbortSignal;
}

/**
 * One `.tar.zst` on its way into every repository while it is made: frames of tar members, the end of the tar, the tail. Bytes are
 * compressed synchronously, so call `ready` after each megabyte or so. After a failure or an abort every call throws its reason,
 * and nothing becomes visible under the key.
 */
export class PartWriter {
  readonly #target: PartTarget;
  readonly #frames: FrameWriter;
  readonly #uploads: { queue: ChunkQueue; done: Promise<'created' | 'exists'> }[];
  readonly #stored: Hash = createHash('sha256');
  #crc32c = 0;
  #storedBytes = 0;
  #plainBytes = 0;
  #frame = { offset: 0, plainBytes: 0 };
  #failure: { reason: unknown } | undefined;
  /** All that was sent, once it was. */
  #whole = { bytes: 0, crc32c: 0 };

  /** Begins to write at once. `frames` is free again after `finish`. */
  constructor(target: PartTarget, frames: FrameWriter) {
    this.#target = target;
    this.#frames = frames;
    this.#uploads = target.stores.map((store) => {
      const queue = new ChunkQueue();
      const done = store.create(target.key, { kind: 'stream', chunks: queue }, { signal: target.signal });
      // An upload is lost when all bytes were taken: the others go on, and one of them may make up for it.
      done.catch((reason: unknown) => hasCode(reason, 'upload-lost') || this.abort(reason));
      return { queue, done };
    });
  }

  /** Plain bytes so far. */
  get plainBytes(): number {
    return this.#plainBytes;
  }

  /** Opens a frame of exactly so many plain bytes. */
  beginFrame(plainBytes: number): void {
    this.#frame = { offset: this.#storedBytes, plainBytes: this.#plainBytes };
    this.#frames.begin(plainBytes);
  }

  /** The chunk is free again on return. */
  write(plain: Uint8Array): void {
    this.#plainBytes += plain.length;
    this.#frames.write(plain, this.#emit);
  }

  endFrame(): Omit<FrameRecord, 'files'> {
    this.#frames.end(this.#emit);
    const { offset, plainBytes } = this.#frame;
    return { offset, storedBytes: this.#storedBytes - offset, plainBytes: this.#plainBytes - plainBytes };
  }

  /** Lets the uploads go on, and waits for the slowest when too much is in flight. */
  async ready(): Promise<void> {
    await nextTurn();
    for (const { queue } of this.#uploads) await queue.drained(QUEUE_BYTES);
    this.#throwFailure();
  }

  /**
   * Ends the tar and waits until every repository holds it durably. Throws `conflict` where the key was taken. The frame that ends
   * the tar is in `lastFrame`.
   */
  async finish(): Promise<StoredRecord & { lastFrame: FrameRecord }> {
    const stored = this.end();
    await this.durable();
    return stored;
  }

  /** The first half of `finish`: nothing more can be written, and the frame writer is free. */
  end(): StoredRecord & { lastFrame: FrameRecord } {
    this.#throwFailure();
    this.beginFrame(TAR_END_BYTES);
    this.write(Buffer.alloc(TAR_END_BYTES));
    const lastFrame = { ...this.endFrame(), files: [] };
    const record = {
      plainBytes: this.#plainBytes,
      storedBytes: this.#storedBytes + TAIL_BYTES,
      sha256: this.#stored.digest('hex'),
      crc32c: this.#crc32c,
    };
    const { sha256, plainBytes: bytes } = record;
    const about = { format: 1 as const, ...this.#target.about };
    const tail = formatTail({ ...about, sha256, bytes, storedBytes: this.#storedBytes, storedCrc32c: this.#crc32c });
    this.#whole = { bytes: record.storedBytes, crc32c: crc32c(tail, this.#crc32c) };
    for (const { queue } of this.#uploads) {
      queue.push(tail);
      queue.end();
    }
    return { ...record, lastFrame };
  }

  /**
   * The second half of `finish`. Also after a failure all uploads have ended when this throws. A store that has lost its upload is
   * filled from one that holds the object; if none does, this throws `upload-lost`, the key is free everywhere, and the part can be
   * made again.
   */
  async durable(): Promise<void> {
    const results = await Promise.allSettled(this.#uploads.map(({ done }) => done));
    this.#throwFailure();
    const lost: Store[] = [];
    let holder: Store | undefined;
    for (const [index, result] of results.entries()) {
      const store = this.#target.stores[index] as Store;
      if (result.status === 'rejected') lost.push(store);
      else this.#requireCreated(store, result.value);
      if (result.status === 'fulfilled') holder ??= store;
    }
    if (lost.length === 0) return;
    if (holder === undefined) throw results.find((result) => result.status === 'rejected')?.reason;
    for (const store of lost) await this.#fill(store, holder);
  }

  #requireCreated(store: Store, result: 'created' | 'exists'): void {
    if (result === 'created') return;
    throw new WalholdError('conflict', `could not store ${this.#target.key} in ${store.url}: the name is taken`, {
      hint: 'Take the backup again: it gets another name.',
    });
  }

  async #fill(store: Store, holder: Store): Promise<void> {
    const { key, signal } = this.#target;
    const copy = (): Promise<'created' | 'exists'> =>
      store.create(key, { kind: 'stream', chunks: this.#readBack(holder) }, { signal });
    this.#requireCreated(store, await sentAgain(copy(), copy));
  }

  /** The object as it was sent: whatever else comes ends in an error, so that nothing becomes visible. */
  async *#readBack(holder: Store): AsyncGenerator<Uint8Array> {
    const { key, signal } = this.#target;
    const opened = await holder.open(key, { signal });
    const read = { bytes: 0, crc32c: 0 };
    for await (const chunk of opened?.chunks ?? []) {
      read.bytes += chunk.length;
      read.crc32c = crc32c(chunk, read.crc32c);
      yield chunk;
    }
    if (read.bytes === this.#whole.bytes && read.crc32c === this.#whole.crc32c) return;
    throw new WalholdError('damaged', `could not trust ${holder.url}/${key}`, {
      detail: 'it is not what was stored there a moment ago',
    });
  }

  abort(reason: unknown): void {
    this.#failure ??= { reason };
    for (const { queue } of this.#uploads) queue.fail(reason);
  }

  readonly #emit = (bytes: Uint8Array): void => {
    this.#stored.update(bytes);
    this.#crc32c = crc32c(bytes, this.#crc32c);
    this.#storedBytes += bytes.length;
    for (const { queue } of this.#uploads) queue.push(bytes);
  };

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.reason;
  }
}
