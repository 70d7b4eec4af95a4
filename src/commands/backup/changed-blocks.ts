import { pagesSince } from '../../postgres/page-lsn.ts';
import { checkPages } from '../../postgres/page-checksum.ts';
import { firstBlock } from '../../postgres/relation-file.ts';
import { readFully, type OpenSource } from './open-source.ts';
import type { IncrementInput, ThreadInput } from './thread-protocol.ts';

export interface BlockScan {
  increment: IncrementInput;
  pages: ThreadInput['pages'];
  signal: AbortSignal;
  advanced: (bytes: number) => Promise<void>;
}

/** Read at once: so much stays in a processor's own cache while it is looked at. */
const READ_BYTES = 256 * 1024;

/**
 * The blocks of a relation's file that may have changed since the parent started, by its pages: every page is read, whatever the
 * file's times say. A page with a wrong checksum is among them: its LSN may be wrong, too.
 */
export async function findChangedBlocks(source: OpenSource, scan: BlockScan): Promise<Uint32Array> {
  const { pageBytes, since } = scan.increment;
  const { size } = source.stats;
  const buffer = Buffer.allocUnsafeSlow(Math.min(READ_BYTES, size));
  const found: number[] = [];
  for (let position = 0; position < size; position += buffer.length) {
    scan.signal.throwIfAborted();
    // Pages that have gone since it was opened are none that could have changed.
    const chunk = buffer.subarray(
      0,
      readFully(source, buffer.subarray(0, Math.min(buffer.length, size - position)), position),
    );
    const block = position / pageBytes;
    const changed = new Set([...pagesSince(chunk, since, pageBytes), ...suspects(source, chunk, block, scan)]);
    for (const page of [...changed].sort((a, b) => a - b)) found.push(block + page);
    await scan.advanced(chunk.length);
  }
  return Uint32Array.from(found);
}

/**
 * Whether this file is the one that the parent read under its path. What a server puts in its place, under the same number, is made
 * anew, and may hold pages older than the parent: CREATE DATABASE by copying files, under an OID that was used before. Where the file
 * system does not tell when a file was made, only one that nobody has written to since is known to be the same.
 */
export function isOlderThanParent({ stats }: OpenSource, { parentStartedMs }: IncrementInput): boolean {
  const { birthtimeMs, ctimeMs } = stats;
  return (birthtimeMs > 0 ? birthtimeMs : ctimeMs) < parentStartedMs;
}

function suspects(
  { relation }: OpenSource,
  chunk: Buffer,
  block: number,
  { pages, increment }: BlockScan,
): readonly number[] {
  if (pages === undefined || relation === undefined) return [];
  return checkPages(chunk, firstBlock(relation, pages.blocksPerFile) + block, increment.pageBytes);
}
