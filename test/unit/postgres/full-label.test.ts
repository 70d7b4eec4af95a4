import { expect, it } from 'vitest';
import { withoutIncrementalLines } from '../../../src/postgres/full-label.ts';

it.each<[string, string, string]>([
  [
    'at the end',
    'START TIMELINE: 1\nINCREMENTAL FROM LSN: 0/2000028\nINCREMENTAL FROM TLI: 1\n',
    'START TIMELINE: 1\n',
  ],
  ['between others', 'A: 1\nINCREMENTAL FROM LSN: 0/2\nB: 2\nINCREMENTAL FROM TLI: 1\nC: 3\n', 'A: 1\nB: 2\nC: 3\n'],
  ['without a last line break', 'A: 1\nINCREMENTAL FROM TLI: 1', 'A: 1\n'],
  ['in the words of a label only', 'LABEL: INCREMENTAL FROM LSN\n', 'LABEL: INCREMENTAL FROM LSN\n'],
  ['nowhere', 'A: 1\n', 'A: 1\n'],
])('a label loses its lines of an incremental backup: %s', (_where, before, after) => {
  expect(withoutIncrementalLines(Buffer.from(before)).toString()).toBe(after);
});

it('keeps bytes that are no UTF-8', () => {
  const label = Buffer.from('LABEL: \xe9\nINCREMENTAL FROM LSN: 0/2\n', 'latin1');
  expect(withoutIncrementalLines(label)).toEqual(Buffer.from('LABEL: \xe9\n', 'latin1'));
});
