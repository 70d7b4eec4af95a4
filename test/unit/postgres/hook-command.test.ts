import { describe, expect, it } from 'vitest';
import { fillPlaceholders } from '../../../src/postgres/hook-command.ts';

describe('fillPlaceholders', () => {
  const lines: [line: string, filled: string][] = [
    ['walhold-push %p', 'walhold-push pg_wal/X'],
    ["cp '%p' /a/%f", "cp 'pg_wal/X' /a/X"],
    ['date +%%s; echo %%p', 'date +%s; echo %p'],
    ['%%%p', '%pg_wal/X'],
    ['echo %x %', 'echo %x %'],
    ['', ''],
  ];
  it.each(lines)('fills %j as the server does', (line, filled) => {
    expect(fillPlaceholders(line, { p: 'pg_wal/X', f: 'X' })).toBe(filled);
  });

  it('takes nothing in a value for a placeholder', () => {
    expect(fillPlaceholders('%p', { p: '%f', f: 'X' })).toBe('%f');
    expect(fillPlaceholders('%p', { p: '$&' })).toBe('$&');
  });
});
