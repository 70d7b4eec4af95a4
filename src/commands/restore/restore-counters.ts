/** How far all threads of one restore have come together. */
export class RestoreCounters {
  readonly #values: BigInt64Array<SharedArrayBuffer>;

  /** A new set, or the one that lies in `memory`. */
  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(2 * BigInt64Array.BYTES_PER_ELEMENT)) {
    this.#values = new BigInt64Array(memory);
  }

  /** To be handed to a thread. */
  get memory(): SharedArrayBuffer {
    return this.#values.buffer;
  }

  add(storedBytes: number, plainBytes: number): void {
    Atomics.add(this.#values, STORED, BigInt(storedBytes));
    Atomics.add(this.#values, PLAIN, BigInt(plainBytes));
  }

  /** Bytes read from repositories. */
  get storedBytes(): number {
    return Number(Atomics.load(this.#values, STORED));
  }

  /** Bytes that came out of them. */
  get plainBytes(): number {
    return Number(Atomics.load(this.#values, PLAIN));
  }
}

const STORED = 0;
const PLAIN = 1;
