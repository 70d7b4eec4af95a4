import { expect, it } from 'vitest';
import { formatSeconds } from '../../../src/commands/format-seconds.ts';

it.each([
  [0, '0 s'],
  [0.44, '0.4 s'],
  [9.99, '10 s'],
  [59.4, '59 s'],
  [59.6, '1 min'],
  [750, '12 min 30 s'],
  [3599.7, '1 h'],
  [11_100, '3 h 5 min'],
  [400_000, '111 h 6 min'],
])('%d seconds are %s for people', (seconds, text) => {
  expect(formatSeconds(seconds)).toBe(text);
});
