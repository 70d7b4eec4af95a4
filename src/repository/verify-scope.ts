import { crc32c } from '../stream/checksum.ts';
import type { ContentReader } from './verify-reader.ts';
import type { Problem } from './verify-problem.ts';

/** What one run of `verify` reads, and what it found so far. */
export interface VerifyScope {
  signal: AbortSignal;
  /** This machine's. */
  clock: { now(): number };
  /** Objects read at the same time. */
  jobs: number;
  /** `undefined`: no contents at all. */
  slice: Slice | undefined;
  /** Adds to what was found, and to what was read. */
  report: VerifyReport;
  /** Who reads contents; without it this thread does. */
  reader?: ContentReader;
  /** Told what comes next, ready to be read, and how many bytes it reads, as far as that is known. */
  onPhase?: (name: string, bytes?: number) => void;
}

/** The `n`-th of `of` parts of all contents; 1 of 1 is all. */
export interface Slice {
  n: number;
  of: number;
}

export class VerifyReport {
  readonly problems: Problem[] = [];
  readonly warnings: string[] = [];
  objects = 0;
  bytes = 0;
  /** WAL records whose CRC-32C was proven. */
  records = 0;
  /** Records that could not be, since the segment that they begin in was not at hand. */
  unproven = 0;

  problem(problem: Problem): void {
    this.problems.push(problem);
  }

  warning(message: string): void {
    this.warnings.push(message);
  }

  checked(bytes: number): void {
    this.objects += 1;
    this.bytes += bytes;
  }
}

/**
 * Whether this object's contents belong to the slice. Every object belongs to exactly one, and always to the same; segments do by
 * sixteens in a row, so that the records which go on from one to the next can be read.
 */
export function inSlice(slice: Slice | undefined, key: string): boolean {
  if (slice === undefined) return false;
  const together = SIXTEEN_SEGMENTS.exec(key)?.[0] ?? key;
  return crc32c(Buffer.from(together, 'utf8')) % slice.of === slice.n - 1;
}

const SIXTEEN_SEGMENTS = /^wal\/[0-9A-F]{8}\/[0-9A-F]{16}\/[0-9A-F]{23}/;

/** Reads `n/t`. `undefined`: it is not that. */
export function parseSlice(text: string): Slice | undefined {
  const match = /^([1-9][0-9]{0,5})\/([1-9][0-9]{0,5})$/.exec(text);
  const slice = { n: Number(match?.[1]), of: Number(match?.[2]) };
  return match !== null && slice.n <= slice.of ? slice : undefined;
}
