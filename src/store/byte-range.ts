import type { ByteRange } from './store.ts';

/** The first byte wanted of an object of `size` bytes and the one after the last, both within it. */
export function rangeBounds(size: number, range: ByteRange | undefined): { from: number; to: number } {
  if (range === undefined) return { from: 0, to: size };
  const from = range.offset < 0 ? Math.max(0, size + range.offset) : Math.min(size, range.offset);
  return { from, to: range.bytes === undefined ? size : Math.min(size, from + range.bytes) };
}

/** The range as HTTP asks for it; `undefined`: the whole. Nothing (`bytes` 0) is not a range that HTTP can ask for. */
export function rangeHeader(range: ByteRange | undefined): string | undefined {
  if (range === undefined || (range.offset === 0 && range.bytes === undefined)) return undefined;
  if (range.offset < 0) return `bytes=${range.offset}`;
  return `bytes=${range.offset}-${range.bytes === undefined ? '' : range.offset + range.bytes - 1}`;
}

/**
 * The size of the whole object and how many bytes of it a body brings, from its headers; `undefined` when the body is not what was
 * asked for, as from a server that ignores ranges.
 */
export function bodyExtent(
  length: number,
  contentRange: string | undefined,
  range: ByteRange | undefined,
): { size: number; bytes: number } | undefined {
  if (rangeHeader(range) === undefined) return { size: length, bytes: length };
  const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(contentRange ?? '') ?? [];
  // Of an object without bytes some servers send the whole, which is the same.
  if (first === undefined && length === 0) return { size: 0, bytes: 0 };
  const size = Number(total);
  const bytes = Number(last) - Number(first) + 1;
  const { from, to } = rangeBounds(size, range);
  return Number(first) === from && bytes === to - from && length === bytes ? { size, bytes } : undefined;
}
