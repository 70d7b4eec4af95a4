/** Numbers of one kind, one for each of perhaps millions of things: outside of the heap, and no longer copied once they are many. */
export class NumberColumn {
  readonly #chunks: Float64Array[] = [];
  #length = 0;

  push(value: number): void {
    const at = this.#length & MASK;
    const open = this.#chunks.at(-1);
    const chunk = open === undefined || at === 0 || at >= open.length ? this.#grow(at, open) : open;
    chunk[at] = value;
    this.#length += 1;
  }

  get length(): number {
    return this.#length;
  }

  /** `undefined` beyond the end. */
  at(index: number): number | undefined {
    return index < this.#length ? this.#chunks[index >> BITS]?.[index & MASK] : undefined;
  }

  /** The first chunk doubles: most columns are short. */
  #grow(at: number, open: Float64Array | undefined): Float64Array {
    const isFirst = this.#length < CHUNK;
    const chunk = new Float64Array(isFirst ? Math.max(SMALLEST, 2 * at) : CHUNK);
    if (isFirst && open !== undefined) {
      chunk.set(open);
      this.#chunks.pop();
    }
    this.#chunks.push(chunk);
    return chunk;
  }
}

const BITS = 16;
const CHUNK: number = 1 << BITS;
const MASK: number = CHUNK - 1;
const SMALLEST = 64;
