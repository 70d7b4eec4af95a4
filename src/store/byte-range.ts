import type { ByteRange } from './store.ts';

/** The first byte wanted of an object of `size` bytes and the one after the last, both within it. */
export function rangeBounds(size: number, range: ByteRange | undefined): { from: number; to: number } {
  if (range === undefined) return { from: 0, to: size };
  const from = range.offset < 0 ? Math.max(0, size + range.offset) : Math.min(size, range.offset);
  return { from, to: range.bytes === undefined ? size : Math.min(size, from + range.bytes) };
}
