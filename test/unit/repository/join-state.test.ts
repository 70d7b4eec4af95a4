import { describe, expect, it } from 'vitest';
import { addIncrement, isTaken, isUnchanged, type JoinState } from '../../../src/repository/join-state.ts';

const header = (truncationBlocks: number, ...blocks: number[]): { blocks: Uint32Array; truncationBlocks: number } => ({
  blocks: Uint32Array.from(blocks),
  truncationBlocks,
});

const takenOf = ({ blocks, taken }: JoinState): number[] =>
  Array.from({ length: blocks }, (_, block) => block).filter((block) => isTaken(taken, block));

describe('joining', () => {
  it('takes every block of the newest link, in runs', () => {
    const { state, runs } = addIncrement(undefined, header(10, 1, 2, 3, 7, 9));
    expect(runs).toEqual([
      { index: 0, block: 1, count: 3 },
      { index: 3, block: 7, count: 1 },
      { index: 4, block: 9, count: 1 },
    ]);
    expect(state).toMatchObject({ blocks: 10, limit: 10 });
    expect(takenOf(state)).toEqual([1, 2, 3, 7, 9]);
  });

  it('takes of an older link what no newer one has', () => {
    const newest = addIncrement(undefined, header(10, 2, 4)).state;
    const { state, runs } = addIncrement(newest, header(10, 1, 2, 3, 4, 5));
    expect(runs).toEqual([
      { index: 0, block: 1, count: 1 },
      { index: 2, block: 3, count: 1 },
      { index: 4, block: 5, count: 1 },
    ]);
    expect(takenOf(state)).toEqual([1, 2, 3, 4, 5]);
    expect(takenOf(newest)).toEqual([2, 4]);
  });

  it('takes nothing from below where a link was cut off', () => {
    const newest = addIncrement(undefined, header(4, 0, 6)).state;
    expect(newest).toMatchObject({ blocks: 7, limit: 4 });
    const { state, runs } = addIncrement(newest, header(9, 2, 4, 5, 8));
    expect(runs).toEqual([{ index: 0, block: 2, count: 1 }]);
    expect(state).toMatchObject({ blocks: 7, limit: 4 });
  });

  it('takes what a link between has behind its own end, and nothing there from below it', () => {
    const newest = addIncrement(undefined, header(8)).state;
    const { state, runs } = addIncrement(newest, header(3, 1, 5));
    expect(runs.map(({ block }) => block)).toEqual([1, 5]);
    expect(state).toMatchObject({ blocks: 8, limit: 3 });
    expect(addIncrement(state, header(8, 0, 4)).runs.map(({ block }) => block)).toEqual([0]);
  });

  it('knows a file of which nothing has changed', () => {
    const { state } = addIncrement(undefined, header(3));
    expect(state.taken).toBeUndefined();
    expect(isUnchanged(state, 3 * 8192, 8192)).toBe(true);
    expect(isUnchanged(state, 4 * 8192, 8192)).toBe(false);
    expect(isUnchanged(addIncrement(state, header(2)).state, 3 * 8192, 8192)).toBe(false);
    expect(isUnchanged(addIncrement(undefined, header(3, 1)).state, 3 * 8192, 8192)).toBe(false);
  });
});
