import { expect, test } from 'vitest';
import { firstBlock, relationDirectory, relationFile, type RelationFile } from '../../../src/postgres/relation-file.ts';

const MAIN = { tablespace: undefined, fork: 'main', segment: 0 } as const;

test.each<[string, RelationFile]>([
  ['base/5/1259', { ...MAIN, database: '5', relation: '1259' }],
  ['base/5/1259.3', { ...MAIN, database: '5', relation: '1259', segment: 3 }],
  ['base/5/1259_fsm', { ...MAIN, database: '5', relation: '1259', fork: 'fsm' }],
  ['base/5/1259_vm.12', { ...MAIN, database: '5', relation: '1259', fork: 'vm', segment: 12 }],
  ['base/5/1259_init', { ...MAIN, database: '5', relation: '1259', fork: 'init' }],
  ['global/1262', { ...MAIN, database: undefined, relation: '1262' }],
  [
    'pg_tblspc/16384/PG_15_202209061/5/4294967295',
    { ...MAIN, tablespace: '16384', database: '5', relation: '4294967295' },
  ],
])('%s is a relation', (path, file) => {
  expect(relationFile(path)).toEqual(file);
});

test.each([
  '1259',
  'base/1259',
  'base/5/',
  'base/5/x',
  'base/5/01259',
  'base/5/1259.0',
  'base/5/1259.01',
  'base/5/1259_vn',
  'base/5/1259_vm_vm',
  'base/5/4294967296',
  'base/5/t3_1259',
  'base/5/PG_VERSION',
  'base/5/pg_filenode.map',
  'base/5/6/1259',
  'base/x/1259',
  'xbase/5/1259',
  'global/pg_control',
  'global/5/1259',
  'pg_tblspc/16384/5/1259',
  'pg_tblspc/16384/PG_15_202209061/1259',
  'pg_xact/0000',
])('%s is none', (path) => {
  expect(relationFile(path)).toBeUndefined();
});

test('the first block counts the files before', () => {
  const file = relationFile('base/5/1259.2');
  expect(file === undefined ? undefined : firstBlock(file, 131072)).toBe(262144);
});

test.each([
  ['base/5/x', 'database'],
  ['pg_tblspc/1/PG_18_202506291/5/x', 'database'],
  ['global/x', 'global'],
  ['base/x', undefined],
  ['x', undefined],
])('%s lies in a directory of kind %s', (path, kind) => {
  expect(relationDirectory(path)).toBe(kind);
});
