import { describe, expect, it } from 'vitest';
import { forEachParallel, mapParallel } from '../../../src/base/parallel.ts';

/** Work that waits to be let go, and how much of it runs at once. */
class Gates {
  running = 0;
  most = 0;
  started: number[] = [];
  readonly #gates = new Map<number, PromiseWithResolvers<void>>();

  readonly work = async (item: number): Promise<number> => {
    this.started.push(item);
    this.running += 1;
    this.most = Math.max(this.most, this.running);
    const gate = Promise.withResolvers<void>();
    this.#gates.set(item, gate);
    await gate.promise.finally(() => (this.running -= 1));
    return item * 10;
  };

  open(item: number): void {
    this.#gates.get(item)?.resolve();
  }

  fail(item: number): void {
    this.#gates.get(item)?.reject(new Error(`no ${item}`));
  }
}

const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
};

describe('mapParallel', () => {
  it('gives results in the items’ order, whatever ends first, with so many at once', async () => {
    const gates = new Gates();
    const results = mapParallel([1, 2, 3, 4], 2, gates.work);
    await turns();
    expect(gates.started).toEqual([1, 2]);
    gates.open(2);
    await turns();
    expect(gates.started).toEqual([1, 2, 3]);
    gates.open(3);
    await turns();
    gates.open(4);
    gates.open(1);
    expect(await results).toEqual([10, 20, 30, 40]);
    expect(gates.most).toBe(2);
  });

  it('begins nothing after a failure, and waits for what runs', async () => {
    const gates = new Gates();
    let ended = false;
    const results = mapParallel([1, 2, 3, 4], 2, gates.work).finally(() => (ended = true));
    results.catch(() => undefined);
    await turns();
    gates.fail(1);
    await turns();
    expect({ ended, started: gates.started }).toEqual({ ended: false, started: [1, 2] });
    gates.open(2);
    await expect(results).rejects.toThrow('no 1');
  });

  it('has nothing to do for no items', async () => {
    expect(await mapParallel([], 4, () => Promise.reject(new Error('never')))).toEqual([]);
  });
});

describe('forEachParallel', () => {
  it('takes an item from its source only when there is room for it, and stops at a failure', async () => {
    const gates = new Gates();
    const taken: number[] = [];
    let closed = false;
    async function* source(): AsyncGenerator<number> {
      try {
        for (let item = 1; ; item += 1) {
          taken.push(item);
          yield await Promise.resolve(item);
        }
      } finally {
        closed = true;
      }
    }
    const done = forEachParallel(source(), 2, async (item) => void (await gates.work(item)));
    done.catch(() => undefined);
    await turns();
    expect(taken).toEqual([1, 2]);
    gates.open(1);
    await turns();
    expect(taken).toEqual([1, 2, 3]);
    gates.fail(2);
    await turns();
    gates.open(3);
    await expect(done).rejects.toThrow('no 2');
    expect({ taken, closed, most: gates.most }).toEqual({ taken: [1, 2, 3], closed: true, most: 2 });
  });
});
