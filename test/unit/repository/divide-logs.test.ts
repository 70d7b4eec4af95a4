import { describe, expect, it } from 'vitest';
import { divideLogs } from '../../../src/repository/divide-logs.ts';

/** `1-3 7` */
function numbers(text: string): number[] {
  return text.split(' ').flatMap((part) => {
    const [first = 0, last = first] = part.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, at) => first + at);
  });
}

describe('logs of which a seal says that they are whole', () => {
  it.each([
    ['are listed at both ends of a row', '0-9', '0-9', 'list 0-0, seal 1-8, list 9-9'],
    ['are listed beside one that is not', '0-20', '0-9 11-20', 'list 0-0, seal 1-8, list 9-11, seal 12-19, list 20-20'],
    [
      'are listed beside a directory that is gone',
      '0-9 11-20',
      '0-20',
      'list 0-0, seal 1-8, list 9-11, seal 12-19, list 20-20',
    ],
    ['are listed where few would be left out', '0-8', '0-3 5-8', 'list 0-8'],
    ['are not there without a directory', '5-7', '0-20', 'list 5-7'],
    ['can be none', '0-9', '30', 'list 0-9'],
  ])('%s', (_, logs, sealed, expected) => {
    const named = new Set(numbers(sealed));
    const spans = divideLogs(numbers(logs), (log) => named.has(log));
    expect(spans.map((one) => `${one.sealed ? 'seal' : 'list'} ${one.first}-${one.last}`).join(', ')).toBe(expected);
  });

  it('are nothing where nothing is stored', () => {
    expect(divideLogs([], () => true)).toEqual([]);
  });
});
