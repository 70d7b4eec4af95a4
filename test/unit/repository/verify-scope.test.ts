import { describe, expect, it } from 'vitest';
import { inSlice, parseSlice } from '../../../src/repository/verify-scope.ts';
import { segmentKey } from '../../support/damageable.ts';
import { SeededRandom } from '../../support/seeded-random.ts';

describe('slices', () => {
  const random = new SeededRandom(20261128);
  const keys = Array.from({ length: 300 }, (_, n) => [
    segmentKey(random.between(1, 9), random.below(4000)),
    `backup/20261122T174500Z-full/part-${n}.tar.zst`,
    `wal/0000000${random.between(1, 9)}.history.zst`,
  ]).flat();

  it('hold each object exactly once, in every run the same', () => {
    for (const of of [1, 2, 3, 7, 30, 1000]) {
      for (const key of keys) {
        const holders = Array.from({ length: of }, (_, n) => n + 1).filter((n) => inSlice({ n, of }, key));
        expect(holders, `${key} of ${of}`).toHaveLength(1);
      }
    }
  });

  it('are of nearly the same size', () => {
    const of = 7;
    const sizes = Array.from({ length: of }, (_, n) => keys.filter((key) => inSlice({ n: n + 1, of }, key)).length);
    expect(Math.min(...sizes)).toBeGreaterThan(keys.length / of / 2);
  });

  it('keep sixteen segments in a row together, with all that belongs to them', () => {
    const first = segmentKey(1, 32);
    const together = Array.from({ length: 16 }, (_, n) => segmentKey(1, 32 + n));
    together.push(`${first.slice(0, -4)}.partial.0123456789abcdef.zst`, `${first.slice(0, -4)}.00000028.backup.zst`);
    const slices = Array.from({ length: 1000 }, (_, n) => ({ n: n + 1, of: 1000 }));
    const holding = slices.filter((slice) => together.some((key) => inSlice(slice, key)));
    expect(holding).toHaveLength(1);
    expect(slices.filter((slice) => inSlice(slice, segmentKey(1, 48)))).not.toEqual(holding);
  });

  it('read nothing where no contents are read', () => {
    expect(keys.some((key) => inSlice(undefined, key))).toBe(false);
  });

  it.each(['', '1', '0/1', '2/1', '1/0', '-1/2', '1/2/3', '1 /2', '1/1000000'])('are not written as %j', (text) => {
    expect(parseSlice(text)).toBeUndefined();
  });
});
