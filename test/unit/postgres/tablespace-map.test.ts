import { describe, expect, it, test } from 'vitest';
import { formatTablespaceMap, parseTablespaceMap } from '../../../src/postgres/tablespace-map.ts';
import { ALL_MAJORS, fixture } from '../../support/postgres-fixture.ts';

it.each(ALL_MAJORS)('the map of a real PostgreSQL %i is read and written back to the byte', (major) => {
  const text = fixture(major, 'tablespace_map').toString();
  const locations = parseTablespaceMap(text, major);
  expect(locations.map(({ path }) => path)).toEqual([`/srv/space-${major}`, `/srv/odd \\ path-${major}`]);
  expect(formatTablespaceMap(locations, major)).toBe(text);
});

test.each([13, 14])('paths with spaces and line breaks come back on %i', (major) => {
  const locations = [
    { oid: '16384', path: '/a  path /b' },
    { oid: '16385', path: '/line\nbreak\r\nand one\n' },
    { oid: '4294967295', path: String.raw`/back\slash\nnot a break` },
  ];
  expect(parseTablespaceMap(formatTablespaceMap(locations, major), major)).toEqual(locations);
});

it('an empty map is a cluster without tablespaces', () => {
  expect(parseTablespaceMap('', 18)).toEqual([]);
  expect(parseTablespaceMap('\r\n\n', 18)).toEqual([]);
  expect(formatTablespaceMap([], 18)).toBe('');
});

it('a path that ends in a backslash cannot be written for 13', () => {
  expect(() => formatTablespaceMap([{ oid: '1', path: '/a\\' }], 13)).toThrow('could not write tablespace_map');
  expect(parseTablespaceMap(formatTablespaceMap([{ oid: '1', path: '/a\\' }], 14), 14)).toEqual([
    { oid: '1', path: '/a\\' },
  ]);
});

describe('a map', () => {
  test.each<[string, string, string]>([
    ['no path', '16384\n', 'line 1 is not "OID PATH"'],
    ['an empty path', '16384 \n', 'line 1 is not "OID PATH"'],
    ['no OID', '/a/b\n', 'line 1 is not "OID PATH"'],
    ['a directory for an OID', '../x /a\n', 'line 1 is not "OID PATH"'],
    ['OID 0', '0 /a\n', 'line 1 is not "OID PATH"'],
    ['an absurd OID', '4294967296 /a\n', 'line 1 is not "OID PATH"'],
    ['a relative path', '16384 /a\n16385 b\n', 'line 2 has no absolute path'],
    ['a zero byte', '16384 /a\0b\n', 'line 1 has no absolute path'],
    ['an OID twice', '16384 /a\n16384 /b\n', 'line 2 names tablespace 16384 for the second time'],
    ['a last line that was cut off', '16384 /a\n16385 /b', 'its last line has no end'],
    ['an escape that was cut off', '16384 /a\\', 'its last line has no end'],
  ])('with %s is refused', (_, text, detail) => {
    expect(() => parseTablespaceMap(text, 18)).toThrow(expect.objectContaining({ code: 'bad-format', detail }));
  });
});
