/**
 * The form in which an incremental backup holds a relation's main fork: only the blocks that have changed since its parent began
 * (GetIncrementalHeaderSize and sendFile, backup/basebackup_incremental.c and basebackup.c of 17; read by
 * bin/pg_combinebackup/reconstruct.c). All numbers are 32 bits in native byte order, here little-endian:
 *
 * magic · number of blocks · truncation length · block numbers · zeros up to a whole block, if there are any blocks · the blocks
 *
 * A block below the truncation length that is not in the file is sought in older backups; at or behind it, it is zeros.
 */
import { WalholdError } from '../base/errors.ts';
import { pathKey } from './path-key.ts';
import { relationFile } from './relation-file.ts';

/** Before the name of a file, in its directory. */
export const INCREMENTAL_PREFIX = 'INCREMENTAL.';

export interface IncrementalHeader {
  /** Block numbers within this file of the relation, ascending; the blocks follow in this order. */
  readonly blocks: Uint32Array;
  /** The least number of blocks of the joined file; it is longer where a block of any of `blocks` lies behind. */
  readonly truncationBlocks: number;
  /** Where the first block begins; without blocks, the size of the file. */
  readonly headerBytes: number;
}

const MAGIC = 0xd3ae_1f0d;
const NUMBER_BYTES = 4;
/** Magic and two lengths. */
const FIXED_BYTES = 3 * NUMBER_BYTES;

/** The name under which an incremental backup holds the changed blocks of the file with this path. */
export function incrementalPath(path: string): string {
  const name = path.lastIndexOf('/') + 1;
  return `${path.slice(0, name)}${INCREMENTAL_PREFIX}${path.slice(name)}`;
}

/**
 * The path of the file whose changed blocks are held under this name. `undefined`: no incremental file is held under it, for it has
 * no such prefix, or lies where no relation's main fork does.
 */
export function plainPath(path: string): string | undefined {
  const name = path.lastIndexOf('/') + 1;
  if (!path.startsWith(INCREMENTAL_PREFIX, name)) return undefined;
  const plain = path.slice(0, name) + path.slice(name + INCREMENTAL_PREFIX.length);
  return relationFile(plain)?.fork === 'main' ? plain : undefined;
}

/** The key (`pathKey`) of the file that a member with this path holds, whole or as changed blocks: both are one file. */
export function fileKey(path: string | Uint8Array): string {
  return pathKey(typeof path === 'string' ? (plainPath(path) ?? path) : path);
}

/** How long the header of a file with so many blocks is. */
export function incrementalHeaderBytes(blockCount: number, blockBytes: number): number {
  const bytes = FIXED_BYTES + blockCount * NUMBER_BYTES;
  return blockCount === 0 ? bytes : Math.ceil(bytes / blockBytes) * blockBytes;
}

/** All that stands before the first block. `blocks` ascend. */
export function formatIncrementalHeader(blocks: Uint32Array, truncationBlocks: number, blockBytes: number): Buffer {
  const header = Buffer.alloc(incrementalHeaderBytes(blocks.length, blockBytes));
  header.writeUInt32LE(MAGIC, 0);
  header.writeUInt32LE(blocks.length, NUMBER_BYTES);
  header.writeUInt32LE(truncationBlocks, 2 * NUMBER_BYTES);
  for (const [index, block] of blocks.entries()) header.writeUInt32LE(block, FIXED_BYTES + index * NUMBER_BYTES);
  return header;
}

/**
 * Reads the header of an incremental file, of which `bytes` are the beginning. `needs`: it takes so many bytes to go on, which are
 * never more than the header has. Throws `bad-format` for what no backup of a relation with these limits (pg_control) contains.
 */
export function parseIncrementalHeader(
  bytes: Uint8Array,
  { blockBytes, blocksPerFile }: { blockBytes: number; blocksPerFile: number },
): IncrementalHeader | { needs: number } {
  if (bytes.length < FIXED_BYTES) return { needs: FIXED_BYTES };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const number = (index: number): number => view.getUint32(index * NUMBER_BYTES, true);
  const [magic, count, truncationBlocks] = [number(0), number(1), number(2)];
  if (magic !== MAGIC) throw wrong(`it begins with 0x${magic.toString(16).padStart(8, '0')}`);
  if (count > blocksPerFile) throw wrong(`it counts ${count} blocks, and a file has at most ${blocksPerFile}`);
  if (truncationBlocks > blocksPerFile) {
    throw wrong(`it gives a length of ${truncationBlocks} blocks, and a file has at most ${blocksPerFile}`);
  }
  const needs = FIXED_BYTES + count * NUMBER_BYTES;
  if (bytes.length < needs) return { needs };
  const blocks = new Uint32Array(count);
  for (let index = 0; index < count; index++) blocks[index] = number(FIXED_BYTES / NUMBER_BYTES + index);
  checkBlocks(blocks, blocksPerFile);
  return { blocks, truncationBlocks, headerBytes: incrementalHeaderBytes(count, blockBytes) };
}

function checkBlocks(blocks: Uint32Array, blocksPerFile: number): void {
  let before = -1;
  for (const block of blocks) {
    if (block >= blocksPerFile) throw wrong(`it names block ${block}, and a file has at most ${blocksPerFile}`);
    if (block <= before) throw wrong(`it names block ${block} after block ${before}`);
    before = block;
  }
}

function wrong(detail: string): WalholdError {
  return new WalholdError('bad-format', 'could not read an incremental file', { detail });
}
