import { expect, test } from 'vitest';
import { withSection } from '../../../scripts/bench/results-file.ts';

test('a section is replaced and the others stay', () => {
  const first = withSection(withSection('', 'drain', '## A backlog\n\nold'), 'call', '## A call');
  const second = withSection(first, 'drain', '## A backlog\n\nnew\n');
  expect(second).toBe(first.replace('old', 'new'));
  expect(second).toContain('## A call');
});

test('sections stand in their own order, whichever was written first', () => {
  const file = withSection(withSection('', 'memory', '## Memory'), 'commands', '## Single commands');
  expect(file.indexOf('## Single commands')).toBeLessThan(file.indexOf('## Memory'));
});

test('writing the same section twice changes nothing', () => {
  const once = withSection('', 'steady', '## Load');
  expect(withSection(once, 'steady', '## Load')).toBe(once);
});

test('what others have written behind the sections stays', () => {
  const file = `${withSection('', 'drain', '## A backlog')}\n## By hand\n\nsomething\n`;
  const written = withSection(withSection(file, 'call', '## A call'), 'drain', '## Another');
  expect(written.split('## By hand\n\nsomething\n')).toHaveLength(2);
  expect(written.indexOf('## A call')).toBeLessThan(written.indexOf('## By hand'));
  expect(written.match(/^# /gm)).toHaveLength(1);
});
