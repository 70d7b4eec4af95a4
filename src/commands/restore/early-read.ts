import { WalholdError } from '../../base/errors.ts';
import { ChunkQueue } from '../../stream/chunk-queue.ts';
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
    const queue = new ChunkQueue();
    signal.addEventListener('abort', () => queue.fail(signal.reason), { once: true });
    if (signal.aborted) queue.fail(signal.reason);
    void fill(queue, opened.chunks);
    return { info: opened.info, chunks: queue };
  }
}

/** Reads on until `MOST_BYTES` wait. Ends the transfer when nobody takes them any more. */
async function fill(queue: ChunkQueue, source: AsyncIterable<Uint8Array>): Promise<void> {
  try {
    for await (const chunk of source) {
      queue.push(chunk);
      await queue.drained(MOST_BYTES - 1);
      if (queue.isOver) return;
    }
    queue.end();
  } catch (error) {
    // After what came before it.
    await queue.drained(0);
    queue.fail(error);
  }
}
