import type { WalholdError } from '../base/errors.ts';

/** A body slower than this for a whole time-out is as good as stuck; what it lacks can be had from another connection. */
const LEAST_BYTES = 64 * 1024;

export interface BodyExpectation {
  what: string;
  /** Fewer is an error, more are not handed on. */
  bytes: number;
  /** For `LEAST_BYTES`, or the rest. Only waiting counts: a slow reader is no fault of the store. */
  timeoutMs: number;
  signal: AbortSignal;
  /** What a transfer that broke means. */
  failure: (what: string, error: unknown) => WalholdError;
}

/** The body of a GET, which either brings all its bytes or throws `unreachable`. Breaking off the loop ends the connection. */
export async function* bodyChunks(
  body: AsyncIterable<Uint8Array>,
  expected: BodyExpectation,
): AsyncGenerator<Uint8Array> {
  const source = body[Symbol.asyncIterator]();
  let left = expected.bytes;
  const pace = new Pace(expected.timeoutMs);
  try {
    // To the very end, also after the last byte: a connection whose body was not ended is not kept.
    for (;;) {
      const next = await pace.next(source);
      if (next.done === true && left > 0) throw new Error(`it ended ${left} bytes early`);
      if (next.done === true) return;
      const chunk = next.value.byteLength > left ? next.value.subarray(0, left) : next.value;
      left -= chunk.byteLength;
      if (chunk.byteLength > 0) yield chunk;
    }
  } catch (error) {
    if (left === 0 && !expected.signal.aborted) return;
    throw expected.signal.aborted ? expected.signal.reason : expected.failure(`could not ${expected.what}`, error);
  } finally {
    // Not awaited: a dead connection must not hold up who gave up on it.
    Promise.resolve(source.return?.()).catch(() => undefined);
  }
}

/** The body of an object, or a range, without bytes. */
// eslint-disable-next-line typescript/require-await -- no chunks in the shape of many
export async function* noChunks(): AsyncGenerator<Uint8Array> {}

/** Measures how long the store lets us wait for how much. */
class Pace {
  private waitedMs = 0;
  private bytes = 0;
  private readonly timeoutMs: number;

  constructor(timeoutMs: number) {
    this.timeoutMs = timeoutMs;
  }

  async next(source: AsyncIterator<Uint8Array>): Promise<IteratorResult<Uint8Array>> {
    const begun = performance.now();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const slow = (): void => reject(new Error(`fewer than ${LEAST_BYTES} bytes came in ${this.timeoutMs} ms`));
      timer = setTimeout(slow, Math.max(0, this.timeoutMs - this.waitedMs));
    });
    try {
      const next = await Promise.race([source.next(), late]);
      this.waitedMs += performance.now() - begun;
      this.bytes += next.done === true ? 0 : next.value.byteLength;
      if (this.bytes >= LEAST_BYTES) this.waitedMs = this.bytes = 0;
      return next;
    } finally {
      clearTimeout(timer);
    }
  }
}
