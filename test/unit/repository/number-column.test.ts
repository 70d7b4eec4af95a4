import { expect, it } from 'vitest';
import { NumberColumn } from '../../../src/repository/number-column.ts';

it.each([0, 1, 63, 64, 65, 128, 129, 65_535, 65_536, 65_537, 131_072, 200_000])(
  'a column of %i numbers keeps them',
  (count) => {
    const column = new NumberColumn();
    for (let at = 0; at < count; at += 1) column.push(at % 7 === 0 ? Number.NaN : at * 1e6 + 0.5);
    expect(column.length).toBe(count);
    for (let at = 0; at < count; at += 1) {
      if (!Object.is(column.at(at), at % 7 === 0 ? Number.NaN : at * 1e6 + 0.5)) throw new Error(`${at} is lost`);
    }
    expect(column.at(count)).toBeUndefined();
  },
);
