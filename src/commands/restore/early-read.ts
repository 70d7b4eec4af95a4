import { WalholdError } from '../../base/errors.ts';
import type { OpenedObject } from '../../store/store.ts';

/** So much of one reading waits for its turn. */
const MOST_BYTES = 4 * 1024 * 1024;

/**
 * A reading that begins before its turn: while another one is worked on, the store's answer comes, and the first bytes after it. So a
 * distant store's time to answer passes beside the work.
 */
export class EarlyRead {
  readonly #stop: AbortController = new AbortController();
  /** What `open` resolves to or throws, for whoever claims it. */
  readonly opened: Promise<OpenedObject | undefined>;
  #isClaimed = false;

  constructor(open: (signal: AbortSignal) => Promise<OpenedObject | undefined>, signal: AbortSignal) {
    this.opened = this.#begin(open, AbortSignal.any([signal, this.#stop.signal]));
    // Told to whoever claims it.
    this.opened.catch(() => undefined);
  }

  /** Whether it is still there to be read: the first to ask has it. */
  claim(): boolean {
    const isFirst = !this.#isClaimed;
    this.#isClaimed = true;
    return isFirst;
  }

  /** Ends the transfer, wherever it is. */
  drop(): void {
    this.#stop.abort(new WalholdError('interrupted', 'not read any further'));
  }

  async #begin(
    open: (signal: AbortSignal) => Promise<OpenedObject | undefined>,
    signal: AbortSignal,
  ): Promise<OpenedObject | undefined> {
    const opened = await open(signal);
    if (opened === undefined) return undefined;
    return { info: opened.info, chunks: new ChunkQueue(opened.chunks, signal).read() };
  }
}

/** Reads on until `MOST_BYTES` wait. Ends the transfer when nobody reads any more, and at the signal. */
class ChunkQueue {
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;
  #end: { error: unknown } | 'reached' | undefined;
  #isLeft = false;
  /** Only one of the two sides ever waits for the other. */
  #wake: () => void = () => {};

  constructor(source: AsyncIterable<Uint8Array>, signal: AbortSignal) {
    signal.addEventListener('abort', () => this.#wake(), { once: true });
    void this.#fill(source, signal);
  }

  async *read(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        const chunk = this.#chunks.shift();
        if (chunk !== undefined) {
          this.#bytes -= chunk.byteLength;
          this.#wake();
          yield chunk;
        } else if (this.#end === undefined) await this.#change();
        else if (this.#end === 'reached') return;
        else throw this.#end.error;
      }
    } finally {
      this.#isLeft = true;
      this.#wake();
    }
  }

  async #fill(source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    try {
      for await (const chunk of source) {
        this.#chunks.push(chunk);
        this.#bytes += chunk.byteLength;
        this.#wake();
        while (this.#bytes >= MOST_BYTES && !this.#isLeft && !signal.aborted) await this.#change();
        signal.throwIfAborted();
        if (this.#isLeft) return;
      }
      this.#end = 'reached';
    } catch (error) {
      this.#end = { error };
    } finally {
      this.#wake();
    }
  }

  async #change(): Promise<void> {
    await new Promise<void>((resolve) => (this.#wake = resolve));
  }
}
