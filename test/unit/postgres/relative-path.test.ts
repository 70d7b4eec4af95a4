import { expect, test } from 'vitest';
import { checkRelativePath } from '../../../src/postgres/relative-path.ts';

test.each([
  'PG_VERSION',
  'base/1/1259',
  'pg_tblspc/16384/PG_15_202209061/5/16385_vm.3',
  '..a/b..',
  '...',
  'a b\\c\nd',
  'ü'.repeat(127),
  '/a'.repeat(2048).slice(1),
])('%j is a path below the data directory', (path) => {
  expect(checkRelativePath(path)).toBeUndefined();
});

test.each([
  ['', 'path is empty'],
  ['/', 'path is absolute'],
  ['/etc/passwd', 'path is absolute'],
  ['//x', 'path is absolute'],
  ['.', 'path contains "."'],
  ['..', 'path contains ".."'],
  ['../x', 'path contains ".."'],
  ['a/..', 'path contains ".."'],
  ['a/../b', 'path contains ".."'],
  ['./a', 'path contains "."'],
  ['a//b', 'path has an empty name in it'],
  ['a/', 'path has an empty name in it'],
  ['a\0b', 'path contains a zero byte'],
  ['a\ud800', 'path is not valid text'],
  ['ü'.repeat(128), 'path has a name longer than 255 bytes in it'],
  ['/a'.repeat(2049).slice(1), 'path is longer than 4096 bytes'],
])('%j is refused', (path, fault) => {
  expect(checkRelativePath(path)).toBe(fault);
});
