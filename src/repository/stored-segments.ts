import type { SegmentRun, SegmentRuns } from './segment-runs.ts';

/** What listings say of one stored segment. */
export interface StoredSegment {
  readonly segno: bigint;
  /** By the store that is asked first for it. */
  readonly storedAt: Date;
  /** Compressed, head included. */
  readonly storedBytes: number;
  /** The repositories that hold it, by number, rising. */
  readonly repositories: readonly number[];
}

/**
 * The segments of one timeline over all repositories, by number. A busy year is a million of them, so they are kept as columns of
 * plain numbers (segment numbers stay below 2^44).
 */
export class StoredSegments {
  readonly #segnos: number[] = [];
  readonly #storedAtMs: number[] = [];
  readonly #bytes: number[] = [];
  /** A bit for each repository number. */
  readonly #holders: number[] = [];
  readonly #runs: { first: bigint; last: bigint }[] = [];

  /** Adds a segment that sorts after all before it. */
  push(segment: StoredSegment): void {
    const segno = Number(segment.segno);
    if (segno <= (this.#segnos.at(-1) ?? -1)) throw new RangeError('segments must rise');
    this.#segnos.push(segno);
    this.#storedAtMs.push(segment.storedAt.getTime());
    this.#bytes.push(segment.storedBytes);
    this.#holders.push(segment.repositories.reduce((bits, number) => bits | (1 << number), 0));
    const open = this.#runs.at(-1);
    if (open !== undefined && open.last + 1n === segment.segno) open.last = segment.segno;
    else this.#runs.push({ first: segment.segno, last: segment.segno });
  }

  get size(): number {
    return this.#segnos.length;
  }

  get runs(): SegmentRuns {
    return this.#runs;
  }

  /** All stored segments' compressed bytes between these two (both included). */
  bytesBetween(first: bigint, last: bigint): number {
    let sum = 0;
    for (
      let at = this.#indexFrom(first);
      at < this.#segnos.length && (this.#segnos[at] ?? 0) <= Number(last);
      at += 1
    ) {
      sum += this.#bytes[at] ?? 0;
    }
    return sum;
  }

  get(segno: bigint): StoredSegment | undefined {
    const at = this.#indexFrom(segno);
    return this.#segnos[at] === Number(segno) ? this.#at(at) : undefined;
  }

  /** Runs that this repository alone holds. */
  runsIn(repository: number): SegmentRuns {
    const runs: { first: bigint; last: bigint }[] = [];
    this.#segnos.forEach((segno, at) => {
      if (((this.#holders[at] ?? 0) & (1 << repository)) === 0) return;
      const number = BigInt(segno);
      const open = runs.at(-1);
      if (open !== undefined && open.last + 1n === number) open.last = number;
      else runs.push({ first: number, last: number });
    });
    return runs satisfies readonly SegmentRun[];
  }

  *[Symbol.iterator](): Generator<StoredSegment> {
    for (let at = 0; at < this.#segnos.length; at += 1) yield this.#at(at);
  }

  #at(at: number): StoredSegment {
    const holders = this.#holders[at] ?? 0;
    return {
      segno: BigInt(this.#segnos[at] ?? 0),
      storedAt: new Date(this.#storedAtMs[at] ?? 0),
      storedBytes: this.#bytes[at] ?? 0,
      repositories: Array.from({ length: 31 }, (_, number) => number).filter(
        (number) => (holders & (1 << number)) !== 0,
      ),
    };
  }

  #indexFrom(segno: bigint): number {
    const wanted = Number(segno);
    let low = 0;
    let high = this.#segnos.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#segnos[middle] ?? 0) < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
