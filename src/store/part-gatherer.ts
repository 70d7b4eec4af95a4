import { abortable } from './abortable.ts';

/** A run of the stream's bytes, to be given back by `release` when they have been sent. */
export interface Part {
  /** From 1. */
  number: number;
  bytes: Uint8Array;
  last: boolean;
  release(): void;
}

/** S3 takes 10,000 parts of one object. */
const DOUBLE_AFTER = 2000;

/** How large part `number` is: doubled every 2,000 parts, so that 10,000 of 16 MiB and more hold 968 GiB. */
export function partSize(number: number, firstBytes: number): number {
  return firstBytes * 2 ** Math.floor((number - 1) / DOUBLE_AFTER);
}

/**
 * Gathers a stream's chunks into parts. At most `buffers` parts exist at once: the next waits until one is released, so memory is
 * bounded by their sizes, whatever the stream. The last part is the only one that may be empty.
 */
export class PartGatherer {
  private readonly source: AsyncIterator<Uint8Array>;
  private readonly sizeOf: (number: number) => number;
  private readonly free: (Buffer | undefined)[];
  private waiting: (() => void) | undefined;
  private rest: Uint8Array = new Uint8Array(0);
  private number = 0;

  /** `sizeOf`: for stores that limit the number of parts otherwise than S3 does. */
  constructor(
    chunks: AsyncIterable<Uint8Array>,
    firstBytes: number,
    buffers: number,
    sizeOf: (number: number) => number = (number) => partSize(number, firstBytes),
  ) {
    this.source = chunks[Symbol.asyncIterator]();
    this.sizeOf = sizeOf;
    this.free = Array.from({ length: buffers }, () => undefined);
  }

  async next(signal: AbortSignal): Promise<Part> {
    const buffer = await this.takeBuffer(this.sizeOf(this.number + 1), signal);
    this.number += 1;
    let filled = 0;
    let last = false;
    while (!last && filled < buffer.byteLength) {
      if (this.rest.byteLength === 0) last = await this.pull(signal);
      const bytes = this.rest.subarray(0, buffer.byteLength - filled);
      buffer.set(bytes, filled);
      filled += bytes.byteLength;
      this.rest = this.rest.subarray(bytes.byteLength);
    }
    const release = (): void => {
      this.free.push(buffer);
      this.waiting?.();
    };
    return { number: this.number, bytes: buffer.subarray(0, filled), last, release };
  }

  /** Tells the source that no more is wanted. Not awaited: a source that is stuck would not answer. */
  stop(): void {
    Promise.resolve(this.source.return?.()).catch(() => undefined);
  }

  private async pull(signal: AbortSignal): Promise<boolean> {
    const next = await abortable(signal, this.source.next());
    if (next.done === true) return true;
    this.rest = next.value;
    return false;
  }

  private async takeBuffer(size: number, signal: AbortSignal): Promise<Buffer> {
    if (this.free.length === 0) await abortable(signal, new Promise<void>((resolve) => (this.waiting = resolve)));
    const used = this.free.pop();
    return used?.byteLength === size ? used : Buffer.allocUnsafeSlow(size);
  }
}
