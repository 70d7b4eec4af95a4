import { execFileSync } from 'node:child_process';
import { expect, it, test } from 'vitest';
import { quoteCommandWord, quoteShellWord } from '../../../src/postgres/shell-quote.ts';

const WORDS = [
  '',
  'plain',
  '/usr/bin/x-y_z',
  'a b',
  "it's",
  '"',
  '$HOME',
  '`id`',
  '\\',
  'a\nb',
  '*',
  '~',
  '-n',
  '#',
  'a;b',
  'ü',
  '100%',
];

it('gives the shell back every word as it was', () => {
  const line = `for w in ${WORDS.map(quoteShellWord).join(' ')}; do printf '%s\\0' "$w"; done`;
  expect(execFileSync('/bin/sh', ['-c', line], { encoding: 'utf8' }).split('\0').slice(0, -1)).toEqual(WORDS);
});

test.each([
  ['plain', 'plain'],
  ['/a/b-c', '/a/b-c'],
  ['a b', "'a b'"],
  ["it's", String.raw`'it'\''s'`],
])('%j is written %s', (word, quoted) => {
  expect(quoteShellWord(word)).toBe(quoted);
});

it('doubles percent signs where PostgreSQL looks for its own', () => {
  expect(quoteCommandWord('/a/100%f')).toBe("'/a/100%%f'");
  expect(quoteShellWord('/a/100%f')).toBe("'/a/100%f'");
});

it('refuses what no argument can hold', () => {
  expect(() => quoteShellWord('a\0')).toThrow(RangeError);
});
