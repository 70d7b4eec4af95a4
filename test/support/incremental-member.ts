import { formatIncrementalHeader } from '../../src/postgres/incremental-file.ts';

export interface Change {
  before: Buffer;
  after: Buffer;
  /** How short the file was at some time in between, in blocks. */
  lowest?: number;
  /** Blocks that are in the incremental file though they have not changed. */
  also?: (block: number) => boolean;
  /** Leaves out blocks of zeros where the reader must think of them himself. */
  omitZeros?: boolean;
}

/** An incremental file by comparison of pages: a writer that knows nothing but the format. */
export function incrementalMember(
  { before, after, lowest = Infinity, also = () => false, omitZeros = false }: Change,
  blockBytes: number,
): Buffer {
  const blocks = after.length / blockBytes;
  const truncation = Math.min(lowest, blocks);
  const pageOf = (bytes: Buffer, block: number): Buffer => bytes.subarray(block * blockBytes, (block + 1) * blockBytes);
  const changed: number[] = [];
  for (let block = 0; block < blocks; block += 1) {
    const page = pageOf(after, block);
    const isNew = block >= truncation || (block + 1) * blockBytes > before.length;
    const mustBeThere = block >= truncation && block === blocks - 1;
    const isForeseen = isNew && omitZeros && !mustBeThere && page.every((byte) => byte === 0);
    const hasChanged = isNew || !page.equals(pageOf(before, block));
    if ((hasChanged && !isForeseen) || also(block)) changed.push(block);
  }
  const header = formatIncrementalHeader(Uint32Array.from(changed), truncation, blockBytes);
  return Buffer.concat([header, ...changed.map((block) => pageOf(after, block))]);
}
