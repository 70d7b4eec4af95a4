/** Memory of files that are stored, for those to come: new memory costs a page fault for every 4 kB, and collections of garbage. */
export class UsedMemory {
  readonly #most: number;
  readonly #free: ArrayBuffer[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  take(): ArrayBuffer | undefined {
    return this.#free.pop();
  }

  /** Whoever gives it reads it no more. */
  give(memory: ArrayBuffer): void {
    if (this.#free.length < this.#most) this.#free.push(memory);
  }

  clear(): void {
    this.#free.length = 0;
  }
}
