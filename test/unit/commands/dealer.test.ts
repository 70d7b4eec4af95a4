import { describe, expect, it } from 'vitest';
import { Dealer, type Hand } from '../../../src/commands/dealer.ts';

const MB = 1024 * 1024;

class Taker implements Hand<number> {
  readonly taken: number[] = [];
  isOver = false;
  readonly take = (item: number): void => void this.taken.push(item);
  readonly end = (): void => {
    this.isOver = true;
  };
}

function deal(items: readonly number[], most = 2): { dealer: Dealer<number>; a: Taker; b: Taker } {
  const [a, b] = [new Taker(), new Taker()];
  const dealer = new Dealer(items, { most, bytesOf: (item) => item });
  dealer.begin([a, b]);
  return { dealer, a, b };
}

describe('dealing out work', () => {
  it('gives nothing to whoever has the most before it while others have less', () => {
    const { a, b } = deal([1000 * MB, 600 * MB, 300 * MB, 10 * MB]);
    expect(a.taken).toEqual([1000 * MB]);
    expect(b.taken).toEqual([600 * MB, 300 * MB]);
  });

  it('gives more when something is done, to whoever has least then', () => {
    const { dealer, a, b } = deal([1000 * MB, 600 * MB, 300 * MB, 10 * MB, 5 * MB]);
    dealer.done(b);
    expect(b.taken).toEqual([600 * MB, 300 * MB, 10 * MB]);
    expect(a.taken).toEqual([1000 * MB]);
    dealer.done(a);
    expect(a.taken).toEqual([1000 * MB, 5 * MB]);
    expect([a.isOver, b.isOver]).toEqual([true, true]);
  });

  it('gives each as many as it may have, of those without bytes too', () => {
    const { dealer, a, b } = deal([0, 0, 0, 0, 0, 0, 0], 3);
    expect([a.taken.length, b.taken.length]).toEqual([3, 3]);
    expect(a.isOver).toBe(false);
    dealer.done(b);
    expect([a.taken.length, b.taken.length]).toEqual([3, 4]);
  });

  it('tells all that nothing more comes, once', () => {
    const { dealer, a, b } = deal([1]);
    expect([a.isOver, b.isOver]).toEqual([true, true]);
    a.isOver = false;
    dealer.done(a);
    expect(a.isOver).toBe(false);
    expect(deal([]).b.isOver).toBe(true);
  });
});
