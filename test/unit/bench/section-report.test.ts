import { expect, test } from 'vitest';
import { addRound, newCase, type Section } from '../../../scripts/bench/figures.ts';
import { sectionJson, sectionText } from '../../../scripts/bench/section-report.ts';

function section(): Section {
  const one = newCase('A backlog', 'walhold', [
    { key: 'seconds', title: 'seconds', main: true },
    { key: 'rate', title: 'segments/s' },
  ]);
  for (const seconds of [3, 1, 2]) addRound(one, 'walhold', { seconds, rate: 60 / seconds });
  addRound(one, 'cp', { seconds: 5 });
  one.missing.set('tar', 'it ended with 1');
  const tools = [{ name: 'walhold', version: '1', setup: 'as it comes' }];
  return { name: 'drain', title: 'Backlogs', rounds: 3, machine: 'small', note: '', tools, method: [], cases: [one] };
}

test('a table has medians, the spread of the main measure, and its ratio to the one compared with', () => {
  const text = sectionText(section());
  expect(text).toContain('|  | seconds | min | max | over walhold | segments/s |');
  expect(text).toContain('| walhold | 2 | 1 | 3 | 1.00 | 30 |');
  expect(text).toContain('| cp | 5 | 5 | 5 | 2.50 |  |');
});

test('who is missing is said below the table, with the reason', () => {
  expect(sectionText(section())).toContain('- tar is missing: it ended with 1');
});

test('the JSON has every value of every round', () => {
  const { cases } = JSON.parse(sectionJson(section())) as { cases: [{ rows: unknown; missing: unknown }] };
  expect(cases[0].rows).toEqual({
    walhold: { seconds: [3, 1, 2], rate: [20, 60, 30] },
    cp: { seconds: [5], rate: [null] },
  });
  expect(cases[0].missing).toEqual({ tar: 'it ended with 1' });
});
