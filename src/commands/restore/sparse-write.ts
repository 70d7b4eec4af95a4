/** Writing that leaves long ranges of zeros as holes. */
import { readSync, writeSync } from 'node:fs';
import { attempt } from './target-places.ts';

/** What lies between two multiples of this in the file, or as much of it as comes at once, stays a hole if it is zeros. */
const HOLE_BYTES = 64 * 1024;
const ZEROS = Buffer.alloc(HOLE_BYTES);

/**
 * Writes at `position` what is not zeros; where it is, the file must hold nothing yet, else `isBlank` says whether zeros are there. Answers
 * whether it ends in a hole: a file that ends so has not its size yet.
 */
export function writeSparse(
  fd: number,
  path: Buffer,
  chunk: Uint8Array,
  position: number,
  isBlank: (from: number, bytes: number) => boolean = () => true,
): boolean {
  let from = 0;
  // What is written together ends where a hole begins.
  for (let at = 0; at < chunk.length;) {
    const end = Math.min(chunk.length, at + HOLE_BYTES - ((position + at) % HOLE_BYTES));
    if (ZEROS.compare(chunk, at, end, 0, end - at) === 0 && isBlank(position + at, end - at)) {
      if (from < at) writeAll(fd, path, chunk.subarray(from, at), position + from);
      from = end;
    }
    at = end;
  }
  if (from < chunk.length) writeAll(fd, path, chunk.subarray(from), position + from);
  return from === chunk.length;
}

/** Whether there are zeros in this range, of which the file may lack the end. It is no longer than what `writeSparse` asks about. */
export function holdsZeros(fd: number, path: Buffer, from: number, bytes: number): boolean {
  const found = Buffer.allocUnsafe(bytes);
  const there = attempt(path, () => readSync(fd, found, 0, bytes, from));
  return ZEROS.compare(found, 0, there, 0, there) === 0;
}

/** Writes all of it, at `position` or where the last write ended. */
export function writeAll(fd: number, path: Buffer, bytes: Uint8Array, position: number | undefined): void {
  attempt(path, () => {
    for (let at = 0; at < bytes.length;) {
      at += writeSync(fd, bytes, at, bytes.length - at, position === undefined ? null : position + at);
    }
  });
}
