import { formatIncrementalHeader, incrementalHeaderBytes, incrementalPath } from '../../postgres/incremental-file.ts';
import type { DataPath } from '../../server/walk-data.ts';

/** What goes into a backup for one file. */
export interface FileContent {
  /** The member's name. */
  path: DataPath;
  size: number;
  /** Fills the chunk with what begins at `position`; chunks come in order, and end at whole quarters of a mebibyte or at the end. */
  fill: (chunk: Buffer, position: number) => Promise<void>;
}

/** More than this part of a file is stored as the whole file, as PostgreSQL does: less work for whoever joins it. */
const MOST_OF_FILE = 0.9;

/**
 * The changed blocks of a relation's file in PostgreSQL's incremental form; `undefined`: that would not be less than the file of
 * `fileBlocks` blocks. `read` fills a chunk of whole pages from the file.
 */
export function incrementalContent(
  file: { path: string; fileBlocks: number; pageBytes: number },
  blocks: Uint32Array,
  read: FileContent['fill'],
): FileContent | undefined {
  const { path, fileBlocks, pageBytes } = file;
  const headerBytes = incrementalHeaderBytes(blocks.length, pageBytes);
  const size = headerBytes + blocks.length * pageBytes;
  if (size > fileBlocks * pageBytes * MOST_OF_FILE) return undefined;
  const header = formatIncrementalHeader(blocks, fileBlocks, pageBytes);
  const fill = async (chunk: Buffer, position: number): Promise<void> => {
    let at = 0;
    if (position < headerBytes) at = header.copy(chunk, 0, position);
    while (at < chunk.length) {
      const first = (position + at - headerBytes) / pageBytes;
      const count = neighbours(blocks, first, (chunk.length - at) / pageBytes);
      await read(chunk.subarray(at, at + count * pageBytes), (blocks[first] ?? 0) * pageBytes);
      at += count * pageBytes;
    }
  };
  return { path: incrementalPath(path), size, fill };
}

/** The blocks of a list that lie before the end of the file. */
export function blocksWithin(blocks: Uint32Array, fileBlocks: number): Uint32Array {
  const end = blocks.findIndex((block) => block >= fileBlocks);
  return end === -1 ? blocks : blocks.subarray(0, end);
}

/** How many blocks from this one on, at most `most`, lie one after another in the file. */
function neighbours(blocks: Uint32Array, first: number, most: number): number {
  let count = 1;
  while (count < most && blocks[first + count] === (blocks[first] ?? 0) + count) count += 1;
  return count;
}
