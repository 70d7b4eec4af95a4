import { describe, expect, it, test } from 'vitest';
import { parseConf, quoteConfValue } from '../../../src/postgres/conf-file.ts';

describe('a configuration file', () => {
  test.each<[string, string, string]>([
    ['name = value', 'name', 'value'],
    ['name value', 'name', 'value'],
    ['name=value', 'name', 'value'],
    ["name='a value'", 'name', 'a value'],
    ["\t name \t=\t 'v' \t # comment", 'name', 'v'],
    ["name = 'v'#comment", 'name', 'v'],
    ["name = '# no comment'", 'name', '# no comment'],
    ["name = 'v'\r", 'name', 'v'],
    ['Name = On', 'name', 'On'],
    ['my.Name = 1', 'my.name', '1'],
    ["name = ''", 'name', ''],
    ["name = 'it''s'", 'name', "it's"],
    [String.raw`name = 'it\'s'`, 'name', "it's"],
    [String.raw`name = 'a\\b'`, 'name', String.raw`a\b`],
    [String.raw`name = '\b\f\n\r\t\x\101\7\1018'`, 'name', '\b\f\n\r\txA\u0007A8'],
    ['name = 16MB', 'name', '16MB'],
    ['name = -1', 'name', '-1'],
    ['name = +0x1F', 'name', '+0x1F'],
    ['name = 1.5', 'name', '1.5'],
    ['name = .5e-3', 'name', '.5e-3'],
    ['name = a-b.c/d:e_f', 'name', 'a-b.c/d:e_f'],
    ['größe = ja', 'größe', 'ja'],
    ["name ='v'", 'name', 'v'],
  ])('has in %j a setting', (text, name, value) => {
    expect(parseConf(text)).toEqual({ entries: [{ name, value, line: 1 }], includes: [], errors: [] });
  });

  test.each<[string, string]>([
    ['name', 'syntax error near end of line'],
    ['name =', 'syntax error near end of line'],
    ['name = # comment', 'syntax error near end of line'],
    ['= value', 'syntax error near "="'],
    ["'name' = value", `syntax error near "'name'"`],
    ['1name = value', 'syntax error near "1name"'],
    ['name = = value', 'syntax error near "="'],
    ['name = a b', 'syntax error near "b"'],
    ["name = 'a' 'b'", `syntax error near "'b'"`],
    ["name = 'a", `syntax error near "'"`],
    [String.raw`name = 'a\'`, `syntax error near "'"`],
    ['name = /path', 'syntax error near "/"'],
    ['name = 1.5GB', 'syntax error near "GB"'],
    ['name = a.b', 'syntax error near "a.b"'],
    ['a.b.c = d', 'syntax error near "a.b.c"'],
    ['name; value', 'syntax error near ";"'],
    [`${'x'.repeat(50)}-y = 1`, `syntax error near "${'x'.repeat(40)}..."`],
  ])('has in %j an error', (text, message) => {
    expect(parseConf(text)).toEqual({ entries: [], includes: [], errors: [{ line: 1, message }] });
  });

  it('goes on behind an error, and counts lines', () => {
    const text = "# head\n\na = 1\nbroken\n  \nb = 'x\ny = 2\na = 3";
    expect(parseConf(text)).toEqual({
      entries: [
        { name: 'a', value: '1', line: 3 },
        { name: 'y', value: '2', line: 7 },
        { name: 'a', value: '3', line: 8 },
      ],
      includes: [],
      errors: [
        { line: 4, message: 'syntax error near end of line' },
        { line: 6, message: `syntax error near "'"` },
      ],
    });
  });

  it('reports its includes and follows none', () => {
    expect(parseConf("include 'a.conf'\nINCLUDE_if_exists = b\ninclude_dir 'conf.d'").includes).toEqual([
      { directive: 'include', path: 'a.conf', line: 1 },
      { directive: 'include_if_exists', path: 'b', line: 2 },
      { directive: 'include_dir', path: 'conf.d', line: 3 },
    ]);
  });

  it('ends after a hundred errors', () => {
    expect(parseConf('?\n'.repeat(1000)).errors).toHaveLength(100);
  });

  it('of one endless line is read quickly', () => {
    const text = `a = ${'x-'.repeat(500_000)}\nb = '${"''".repeat(500_000)}\nc = 1`;
    const { entries, errors } = parseConf(text);
    expect([entries.map(({ name }) => name), errors.length]).toEqual([['a', 'c'], 1]);
  });
});

test.each([
  '',
  'plain',
  "it's",
  String.raw`C:\dir`,
  "'\\'",
  'two\nlines\r',
  String.raw`\n`,
  "cp %p '/a b/%f'",
  '#',
  'ü',
])('the value %j comes back from its quotes', (value) => {
  const { entries, errors } = parseConf(`name = ${quoteConfValue(value)} # comment`);
  expect({ entries, errors }).toEqual({ entries: [{ name: 'name', value, line: 1 }], errors: [] });
});

test('a value with a zero byte has no quotes', () => {
  expect(() => quoteConfValue('a\0')).toThrow(RangeError);
});
