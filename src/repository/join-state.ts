/**
 * How a file is put together from the links of a chain, from the newest down: a block comes from the newest incremental file that has it,
 * else from the first whole file below them; at or behind the truncation length of a link nothing comes from below that link; what is
 * nowhere is zeros. As pg_combinebackup does it (reconstruct.c), but for the lengths of the links between, which it does not look at: it
 * brings back old content where a relation was cut off and grew again without WAL. Pure.
 */
import type { IncrementalHeader } from '../postgres/incremental-file.ts';

/** What newer links have given of a file so far. It survives structured cloning. */
export interface JoinState {
  /** Of the joined file. */
  readonly blocks: number;
  /** From this block on nothing comes from older links. */
  readonly limit: number;
  /** Bit `b % 8` of byte `b >> 3` is set: block `b` is in its place. `undefined`: none is. */
  readonly taken: Uint8Array | undefined;
}

/** Blocks that lie side by side in the incremental file and in the joined one. */
export interface BlockRun {
  /** Of the first one among the blocks of the incremental file. */
  readonly index: number;
  /** Its number in the joined file. */
  readonly block: number;
  readonly count: number;
}

/** What comes from an incremental file below those that `state` tells of; `undefined`: it is the newest. */
export function addIncrement(
  state: JoinState | undefined,
  { blocks, truncationBlocks }: Pick<IncrementalHeader, 'blocks' | 'truncationBlocks'>,
): { state: JoinState; runs: BlockRun[] } {
  const length = state?.blocks ?? Math.max(truncationBlocks, (blocks.at(-1) ?? -1) + 1);
  const limit = Math.min(state?.limit ?? length, truncationBlocks);
  const most = state?.limit ?? length;
  const runs: BlockRun[] = [];
  let taken = state?.taken;
  let open: { index: number; block: number; count: number } | undefined;
  for (let index = 0; index < blocks.length; index += 1) {
    const block = blocks[index] ?? 0;
    if (block >= most) break;
    if (isTaken(state?.taken, block)) continue;
    if (taken === state?.taken) taken = grown(taken, length);
    if (taken !== undefined) taken[block >> 3] = (taken[block >> 3] ?? 0) | (1 << (block & 7));
    if (open !== undefined && open.index + open.count === index && open.block + open.count === block) open.count += 1;
    else runs.push((open = { index, block, count: 1 }));
  }
  return { state: { blocks: length, limit, taken }, runs };
}

export function isTaken(taken: Uint8Array | undefined, block: number): boolean {
  return taken !== undefined && ((taken[block >> 3] ?? 0) & (1 << (block & 7))) !== 0;
}

/** Whether the whole file below, so long, is the joined one. */
export function isUnchanged({ blocks, limit, taken }: JoinState, bytes: number, blockBytes: number): boolean {
  return taken === undefined && limit === blocks && bytes === blocks * blockBytes;
}

/** A copy of its own: the same piece may be read again from elsewhere. */
function grown(taken: Uint8Array | undefined, blocks: number): Uint8Array {
  return taken === undefined ? new Uint8Array((blocks + 7) >> 3) : Uint8Array.from(taken);
}
