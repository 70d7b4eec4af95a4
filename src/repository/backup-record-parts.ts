import { pathKey } from '../postgres/path-key.ts';
import { WalholdError } from '../base/errors.ts';
import { checkRelativePath } from '../postgres/relative-path.ts';
import { Fields, isText, isWhole } from './backup-record-fields.ts';
import type { FileRecord, FrameRecord, PartRecord, StoredRecord } from './backup-record.ts';
import { TAIL_BYTES } from './object-head.ts';
import type { RawPart } from './record-lines.ts';

const MOST_PARTS = 1_000_000;
const MOST_FRAMES = 10_000_000;
const MOST_FILES = 20_000_000;
const SHA256 = /^[0-9a-f]{64}$/;
const TAR_BLOCK = 512;
const CELLS = 3;

/**
 * The parts of a record: each number once, frames without gaps, every path checked and named once. Throws `bad-format`, and what going through
 * `raw` throws.
 */
export function readParts(fields: Fields, raw: Iterable<RawPart>, object: string): PartRecord[] {
  const seen = new Set<string>();
  const numbers = new Set<number>();
  const parts: PartRecord[] = [];
  for (const { head, rows } of raw) {
    if (parts.length >= MOST_PARTS) throw fields.wrong('parts');
    const part = new Fields(head, object, `parts[${parts.length}]`);
    const number = Number(/^part-([1-9][0-9]{0,6})\.tar\.zst$/.exec(part.text('name', 30))?.[1] ?? 0);
    if (number === 0 || numbers.has(number)) throw part.wrong('name');
    numbers.add(number);
    const stored = storedFields(part);
    const frames = readFrames(rows, stored, seen, (name) => wrongFrame(object, `parts[${parts.length}].${name}`));
    if (typeof frames === 'string') throw part.wrong(frames);
    parts.push({ number, ...stored, frames });
  }
  if (parts.length === 0) throw fields.wrong('parts');
  return parts;
}

/** The parts of a document that is one value. */
export function rawParts(fields: Fields): RawPart[] {
  return fields.list('parts', MOST_PARTS, (head) => {
    const rows = (head as { frames?: unknown } | null)?.frames;
    return { head, rows: Array.isArray(rows) ? (rows as unknown[]) : [undefined] };
  });
}

export function storedFields(fields: Fields): StoredRecord {
  return {
    plainBytes: fields.number('plainBytes'),
    storedBytes: fields.number('storedBytes', TAIL_BYTES),
    sha256: fields.matching('sha256', SHA256),
    crc32c: fields.number('crc32c', 0, 0xffff_ffff),
  };
}

/** A text: the field of the part that does not fit. */
function readFrames(
  rows: Iterable<unknown>,
  stored: StoredRecord,
  seen: Set<string>,
  wrong: (name: string) => WalholdError,
): FrameRecord[] | string {
  let storedBytes = 0;
  let plainBytes = 0;
  const frames: FrameRecord[] = [];
  for (const row of rows) {
    const frame = readFrame(row, seen);
    if (frame === undefined || frame.offset !== storedBytes || frames.length >= MOST_FRAMES)
      throw wrong(`frames[${frames.length}]`);
    storedBytes += frame.storedBytes;
    plainBytes += frame.plainBytes;
    frames.push(frame);
  }
  if (storedBytes !== stored.storedBytes - TAIL_BYTES) return 'storedBytes';
  return plainBytes === stored.plainBytes ? frames : 'plainBytes';
}

function readFrame(item: unknown, seen: Set<string>): FrameRecord | undefined {
  if (!Array.isArray(item)) return undefined;
  const [offset, storedBytes, plainBytes, ...cells] = item as unknown[];
  if (!isWhole(offset) || !isWhole(storedBytes, 1) || !isWhole(plainBytes) || cells.length % CELLS !== 0)
    return undefined;
  const files: FileRecord[] = [];
  let end = 0;
  for (let i = 0; i < cells.length; i += CELLS) {
    const file = readFile(cells, i);
    // Every member has a header of at least one block before its content.
    if (file === undefined || file.at < end + TAR_BLOCK || file.at + file.size > plainBytes) return undefined;
    const key = pathKey(file.path);
    if (seen.has(key) || seen.size >= MOST_FILES) return undefined;
    seen.add(key);
    end = file.at + file.size;
    files.push(file);
  }
  return { offset, storedBytes, plainBytes, files };
}

function readFile(cells: readonly unknown[], i: number): FileRecord | undefined {
  const path = readPath(cells[i]);
  const size = cells[i + 1];
  const at = cells[i + 2];
  return path === undefined || !isWhole(size) || !isWhole(at) ? undefined : { path, size, at };
}

function readPath(cell: unknown): string | Buffer | undefined {
  if (typeof cell === 'string') {
    return isText(cell, LONGEST_PATH) && checkRelativePath(cell) === undefined ? cell : undefined;
  }
  const hex = (cell as { hex?: unknown } | null | undefined)?.hex;
  if (typeof hex !== 'string' || hex.length > 2 * LONGEST_PATH || !/^(?:[0-9a-f]{2})+$/.test(hex)) return undefined;
  const bytes = Buffer.from(hex, 'hex');
  // As text it could name the same file a second time.
  if (Buffer.from(bytes.toString('utf8'), 'utf8').equals(bytes)) return undefined;
  return checkRelativePath(bytes.toString('latin1')) === undefined ? bytes : undefined;
}

const LONGEST_PATH = 4096;

function wrongFrame(object: string, where: string): WalholdError {
  return new WalholdError('bad-format', `could not trust ${object}`, {
    detail: `its field ${where} is wrong`,
    hint: 'Read it from another repository, or see "walhold verify".',
  });
}
