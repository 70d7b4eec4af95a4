/** Paths one after another in a few large buffers: as objects of their own, hundreds of thousands take much memory. */
export class PathList {
  readonly #full: Buffer[] = [];
  #open: Buffer = Buffer.alloc(0);
  #used = 0;

  add(path: Buffer): void {
    if (this.#used + path.length + 1 > this.#open.length) this.#next(path.length + 1);
    this.#used += path.copy(this.#open, this.#used);
    this.#open[this.#used++] = 0;
  }

  /** In the order in which they came; a path contains no zero byte. They are views. */
  *[Symbol.iterator](): Generator<Buffer> {
    for (const buffer of [...this.#full, this.#open.subarray(0, this.#used)]) {
      for (let at = 0; at < buffer.length;) {
        const end = buffer.indexOf(0, at);
        yield buffer.subarray(at, end);
        at = end + 1;
      }
    }
  }

  clear(): void {
    this.#full.length = 0;
    this.#used = 0;
  }

  #next(bytes: number): void {
    if (this.#used > 0) this.#full.push(this.#open.subarray(0, this.#used));
    this.#open = Buffer.allocUnsafeSlow(Math.max(BUFFER_BYTES, bytes));
    this.#used = 0;
  }
}

const BUFFER_BYTES = 64 * 1024;
