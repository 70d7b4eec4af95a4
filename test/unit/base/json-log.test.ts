import { expect, test } from 'vitest';
import { jsonLog } from '../../../src/base/json-log.ts';

test('every line is one JSON object, whatever the message holds, and short', () => {
  const lines: string[] = [];
  const log = jsonLog('walhold-push', 'warning', (line) => void lines.push(line));
  log.error('a "b"\nc', { detail: 'd'.repeat(5000), hint: 'h', fields: { n: 1 } });
  log.warning('w');
  log.info('below the level');
  expect(lines).toHaveLength(2);
  expect(lines.every((line) => line.endsWith('\n') && line.length < 4096)).toBe(true);
  expect(JSON.parse(lines[0] ?? '')).toEqual({
    level: 'error',
    program: 'walhold-push',
    message: 'a "b"\nc',
    detail: 'd'.repeat(1000),
    hint: 'h',
    n: 1,
  });
  expect(JSON.parse(lines[1] ?? '')).toEqual({ level: 'warning', program: 'walhold-push', message: 'w' });
});
