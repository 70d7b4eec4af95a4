import { NumberColumn } from './number-column.ts';
import type { SegmentRun, SegmentRuns } from './segment-runs.ts';

/** What is known of one stored segment without asking for it. */
export interface StoredSegment {
  readonly segno: bigint;
  /** By the store that is asked first for it. `undefined`: a seal says that it is there, and no listing was asked. */
  readonly storedAt: Date | undefined;
  /** The repositories that hold it, by number, rising. */
  readonly repositories: readonly number[];
}

/** One segment that a listing showed. */
export interface ListedSegment extends StoredSegment {
  readonly storedAt: Date;
  /** Compressed, head included. */
  readonly storedBytes: number;
}

/** Segments in a row of which nothing is told one by one; of the first it may be known when it was stored. */
export interface StoredSpan extends StoredSegment {
  readonly count: number;
  /** Of all of them; 0 where no listing was asked. */
  readonly storedBytes: number;
}

/**
 * The segments of one timeline over all repositories, by number. A busy year is a million of them, so they are kept as columns of
 * plain numbers (segment numbers stay below 2^44); those of a sealed log are one entry.
 */
export class StoredSegments {
  readonly #segnos = new NumberColumn();
  /** NaN: not known. */
  readonly #storedAtMs = new NumberColumn();
  readonly #bytes = new NumberColumn();
  /** A bit for each repository number. */
  readonly #holders = new NumberColumn();
  /** By index, of entries that stand for more than one segment. */
  readonly #counts = new Map<number, number>();
  readonly #numbers = new Map<number, readonly number[]>();
  readonly #runs: { first: bigint; last: bigint }[] = [];
  #size = 0;

  /** Adds a segment that sorts after all before it. */
  push(segment: ListedSegment): void {
    this.pushSpan({ ...segment, count: 1 });
  }

  /** Adds segments that sort after all before them. */
  pushSpan({ segno, count, storedAt, storedBytes, repositories }: StoredSpan): void {
    const open = this.#runs.at(-1);
    if (open !== undefined && segno <= open.last) throw new RangeError('segments must rise');
    if (count > 1) this.#counts.set(this.#segnos.length, count);
    this.#segnos.push(Number(segno));
    this.#storedAtMs.push(storedAt?.getTime() ?? Number.NaN);
    this.#bytes.push(storedBytes);
    this.#holders.push(repositories.reduce((bits, number) => bits | (1 << number), 0));
    this.#size += count;
    const last = segno + BigInt(count - 1);
    if (open !== undefined && open.last + 1n === segno) open.last = last;
    else this.#runs.push({ first: segno, last });
  }

  get size(): number {
    return this.#size;
  }

  get runs(): SegmentRuns {
    return this.#runs;
  }

  /** All listed segments' compressed bytes between these two (both included). Those that only a seal names are not counted. */
  bytesBetween(first: bigint, last: bigint): number {
    let sum = 0;
    for (let at = this.#indexBehind(first - 1n); (this.#segnos.at(at) ?? Infinity) <= Number(last); at += 1) {
      sum += this.#bytes.at(at) ?? 0;
    }
    return sum;
  }

  get(segno: bigint): StoredSegment | undefined {
    const at = this.#indexBehind(segno) - 1;
    const first = this.#segnos.at(at);
    if (first === undefined || Number(segno) >= first + this.#countAt(at)) return undefined;
    const { storedAt, repositories } = this.#at(at);
    return { segno, storedAt: Number(segno) === first ? storedAt : undefined, repositories };
  }

  /** Runs that this repository alone holds. */
  runsIn(repository: number): SegmentRuns {
    const runs: { first: bigint; last: bigint }[] = [];
    for (let at = 0; at < this.#segnos.length; at += 1) {
      if (((this.#holders.at(at) ?? 0) & (1 << repository)) === 0) continue;
      const first = BigInt(this.#segnos.at(at) ?? 0);
      const last = first + BigInt(this.#countAt(at) - 1);
      const open = runs.at(-1);
      if (open !== undefined && open.last + 1n === first) open.last = last;
      else runs.push({ first, last });
    }
    return runs satisfies readonly SegmentRun[];
  }

  /**
   * Of all entries, rising, what needs no object for each: first numbers, times of storing (ms; NaN: not known), compressed bytes. Each is
   * one segment unless seals were used.
   */
  each(visit: (segno: number, storedAtMs: number, storedBytes: number) => void): void {
    for (let at = 0; at < this.#segnos.length; at += 1)
      visit(this.#segnos.at(at) ?? 0, this.#storedAtMs.at(at) ?? 0, this.#bytes.at(at) ?? 0);
  }

  /** Rising. A listed segment is a span of one. */
  *spans(): Generator<StoredSpan> {
    for (let at = 0; at < this.#segnos.length; at += 1) yield this.#at(at);
  }

  #countAt(at: number): number {
    return this.#counts.get(at) ?? 1;
  }

  #at(at: number): StoredSpan {
    const holders = this.#holders.at(at) ?? 0;
    const storedAtMs = this.#storedAtMs.at(at) ?? Number.NaN;
    return {
      segno: BigInt(this.#segnos.at(at) ?? 0),
      count: this.#countAt(at),
      storedAt: Number.isNaN(storedAtMs) ? undefined : new Date(storedAtMs),
      storedBytes: this.#bytes.at(at) ?? 0,
      repositories: this.#numbersIn(holders),
    };
  }

  /** There are few different ones. */
  #numbersIn(holders: number): readonly number[] {
    const known = this.#numbers.get(holders);
    if (known !== undefined) return known;
    const numbers = Array.from({ length: 31 }, (_, number) => number).filter(
      (number) => (holders & (1 << number)) !== 0,
    );
    this.#numbers.set(holders, numbers);
    return numbers;
  }

  /** The index of the first entry that begins above `segno`. */
  #indexBehind(segno: bigint): number {
    const wanted = Number(segno);
    let low = 0;
    let high = this.#segnos.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#segnos.at(middle) ?? 0) <= wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
