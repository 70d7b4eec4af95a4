/** Numbers that all threads of one backup share. */
export class SharedCounters {
  readonly #values: BigInt64Array<SharedArrayBuffer>;

  /** A new set, or the one that lies in `memory`. */
  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(COUNTERS * BigInt64Array.BYTES_PER_ELEMENT)) {
    this.#values = new BigInt64Array(memory);
  }

  /** To be handed to a thread. */
  get memory(): SharedArrayBuffer {
    return this.#values.buffer;
  }

  /** Plain bytes read so far. */
  get bytes(): number {
    return Number(Atomics.load(this.#values, BYTES));
  }

  addBytes(bytes: number): void {
    Atomics.add(this.#values, BYTES, BigInt(bytes));
  }

  /** The next part's number, from 1. */
  nextPart(): number {
    return Number(Atomics.add(this.#values, PARTS, 1n)) + 1;
  }

  /** Numbers up to this one are taken. */
  skipParts(last: number): void {
    Atomics.store(this.#values, PARTS, BigInt(last));
  }

  /**
   * For a rate that all threads keep together: takes `durationMs` of the time line from `nowMs` on, behind what others have taken,
   * and answers how long to wait until its beginning. Time that nobody took is not made up for.
   */
  takeTime(nowMs: number, durationMs: number): number {
    const now = BigInt(Math.round(nowMs * 1000));
    const duration = BigInt(Math.round(durationMs * 1000));
    for (;;) {
      const taken = Atomics.load(this.#values, TAKEN_UNTIL_MICROS);
      const begin = taken > now ? taken : now;
      if (Atomics.compareExchange(this.#values, TAKEN_UNTIL_MICROS, taken, begin + duration) !== taken) continue;
      return Number(begin - now) / 1000;
    }
  }
}

const BYTES = 0;
const PARTS = 1;
const TAKEN_UNTIL_MICROS = 2;
const COUNTERS = 3;
