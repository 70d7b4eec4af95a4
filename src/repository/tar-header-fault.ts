import type { FileRecord } from './backup-record.ts';

/** Larger files have their size in a pax record before the header. */
const LARGEST_SIZE = 0o77777777777;

/**
 * Whether the tar header right before a file's content leads `tar` to the same file: its own checksum, type, size and name. What is
 * wrong, or `undefined`.
 */
export function tarHeaderFault(block: Buffer, file: FileRecord): string | undefined {
  const sum = block.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 0x20 : byte), 0);
  if (octal(block, 148, 8) !== sum) return 'its tar header has a wrong checksum';
  if (block.toString('latin1', 156, 157) !== '0') return 'its tar header is not that of a file';
  const size = octal(block, 124, 12);
  if (file.size <= LARGEST_SIZE && size !== file.size) return `its tar header says ${size} bytes, not ${file.size}`;
  const path = typeof file.path === 'string' ? Buffer.from(file.path, 'utf8') : file.path;
  const prefix = field(block, 345, 155);
  const name = field(block, 0, 100);
  const whole = prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from('/'), name]);
  // A name that does not fit stands in a pax record before; its beginning is here.
  const fits = whole.equals(path) || (name.length === 100 && path.subarray(0, 100).equals(name));
  return fits ? undefined : `its tar header names ${JSON.stringify(whole.toString('utf8'))}`;
}

function field(block: Buffer, at: number, bytes: number): Buffer {
  const all = block.subarray(at, at + bytes);
  const end = all.indexOf(0);
  return end < 0 ? all : all.subarray(0, end);
}

function octal(block: Buffer, at: number, bytes: number): number {
  return Number.parseInt(block.toString('latin1', at, at + bytes).replace(/[\0 ]+$/, ''), 8);
}
