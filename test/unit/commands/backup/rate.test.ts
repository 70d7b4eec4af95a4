import { describe, expect, it } from 'vitest';
import { parseRate } from '../../../../src/commands/backup/rate.ts';

describe('--max-rate', () => {
  it.each([
    ['32', 32 * 1024],
    ['1024k', 1024 * 1024],
    ['10M', 10 * 1024 * 1024],
    ['1.5M', 1.5 * 1024 * 1024],
    ['100 MB', 100 * 1024 * 1024],
    ['64kB', 64 * 1024],
  ])('%s is so many bytes a second', (text, bytes) => {
    expect(parseRate(text)).toBe(bytes);
  });

  it.each(['', '31', '1G', '-5M', 'M', '0', '1e9', '99999999M'])('%j is refused', (text) => {
    expect(() => parseRate(text)).toThrow(expect.objectContaining({ code: 'usage' }));
  });
});
