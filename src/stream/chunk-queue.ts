/**
 * Chunks on their way from a producer, which may be one that cannot wait (a synchronous compressor), to one consumer: the producer
 * pushes, and asks `drained` before it goes on. Iterate it once.
 */
export class ChunkQueue implements AsyncIterable<Uint8Array> {
  readonly #chunks: Uint8Array[] = [];
  #ended = false;
  #failure: { reason: unknown } | undefined;
  #queuedBytes = 0;
  #wakeConsumer: (() => void) | undefined;
  #wakeProducer: (() => void) | undefined;

  push(chunk: Uint8Array): void {
    if (this.#ended) return;
    this.#chunks.push(chunk);
    this.#queuedBytes += chunk.length;
    this.#wakeConsumer?.();
  }

  /** No more chunks: the consumer's loop ends after those queued. */
  end(): void {
    this.#ended = true;
    this.#wakeConsumer?.();
  }

  /** The consumer's loop throws `reason`, at once. */
  fail(reason: unknown): void {
    this.#failure ??= { reason };
    this.#wakeConsumer?.();
    this.#wakeProducer?.();
  }

  /** Whether nobody takes any more of them: it failed, or its consumer left. */
  get isOver(): boolean {
    return this.#failure !== undefined;
  }

  /** Resolves when no more than `maxBytes` wait, or when nobody takes them any more. */
  async drained(maxBytes: number): Promise<void> {
    while (this.#queuedBytes > maxBytes && this.#failure === undefined) {
      await new Promise<void>((resolve) => {
        this.#wakeProducer = resolve;
      });
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        if (this.#failure !== undefined) throw this.#failure.reason;
        const chunk = this.#chunks.shift();
        if (chunk !== undefined) {
          yield chunk;
          this.#queuedBytes -= chunk.length;
          this.#wakeProducer?.();
        } else if (this.#ended) {
          return;
        } else {
          await new Promise<void>((resolve) => {
            this.#wakeConsumer = resolve;
          });
        }
      }
    } finally {
      // A consumer that left early must not leave the producer waiting.
      this.#failure ??= { reason: new Error('nobody reads this stream any more') };
      this.#wakeProducer?.();
    }
  }
}
