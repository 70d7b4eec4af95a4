import { expect, test } from 'vitest';
import { newCase } from '../../../scripts/bench/figures.ts';
import { takeTurn, takeTurns } from '../../../scripts/bench/turns.ts';

const CONTENDERS = ['walhold', 'tar', 'cp'].map((name) => ({ name }));
const quiet = { rounds: 3, tell: () => {} };

test('another contender begins in each round, and the rows stand in the order of the contenders', async () => {
  const one = newCase('A backup', 'walhold', []);
  const order: string[] = [];
  await takeTurns(one, CONTENDERS, quiet, ({ name }) => {
    order.push(name);
    return Promise.resolve({ seconds: order.length });
  });
  expect(order.join(' ')).toBe('walhold tar cp tar cp walhold cp walhold tar');
  expect([...one.rows.keys()]).toEqual(['walhold', 'tar', 'cp']);
  expect(one.rows.get('cp')).toEqual([{ seconds: 3 }, { seconds: 5 }, { seconds: 7 }]);
});

test('who fails is left out from then on, with the reason, and the others go on', async () => {
  const one = newCase('A backup', 'walhold', []);
  const tried: string[] = [];
  for (const round of [0, 1]) {
    await takeTurn(one, CONTENDERS, { ...quiet, round }, ({ name }) => {
      tried.push(name);
      if (name === 'tar') throw new Error('tar ended with 1\nno space left');
      return Promise.resolve({ seconds: 1 });
    });
  }
  expect(tried.filter((name) => name === 'tar')).toHaveLength(1);
  expect([...one.rows.keys()]).toEqual(['walhold', 'cp']);
  expect(one.missing.get('tar')).toBe('tar ended with 1');
});
