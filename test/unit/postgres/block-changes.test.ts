import { describe, expect, test } from 'vitest';
import { BlockChanges, type FileChanges } from '../../../src/postgres/block-changes.ts';
import { relationFile } from '../../../src/postgres/relation-file.ts';

const PER_FILE = 131_072;

function changesOf(path: string, add: (changes: BlockChanges) => void, blocksPerFile = PER_FILE): FileChanges {
  const changes = new BlockChanges(blocksPerFile);
  add(changes);
  const file = relationFile(path);
  if (file === undefined) throw new Error(`${path} is no relation`);
  return changes.of(file);
}

const blocks = (changes: FileChanges): number[] | 'whole' => (changes === 'whole' ? changes : [...changes]);

const TABLE = { tablespace: 1663, database: 5, relation: 16384 };

describe('blocks', () => {
  test('of several summaries come together, in order and each once', () => {
    const found = changesOf('base/5/16384', (changes) => {
      changes.addBlocks(TABLE, [900, 3, 0, 131_071]);
      changes.addBlocks(TABLE, [3, 8, 7]);
    });
    expect(blocks(found)).toEqual([0, 3, 7, 8, 900, 131_071]);
  });

  test('belong to the file that they lie in', () => {
    const add = (changes: BlockChanges): void =>
      changes.addBlocks(TABLE, [5, PER_FILE, PER_FILE + 9, 2 * PER_FILE - 1]);
    expect(blocks(changesOf('base/5/16384', add))).toEqual([5]);
    expect(blocks(changesOf('base/5/16384.1', add))).toEqual([0, 9, PER_FILE - 1]);
    expect(blocks(changesOf('base/5/16384.2', add))).toEqual([]);
    expect(blocks(changesOf('base/5/16384.1', (changes) => changes.addBlocks(TABLE, [10, 15]), 10))).toEqual([0, 5]);
  });

  test.each([['base/5/16385'], ['base/6/16384'], ['global/16384'], ['pg_tblspc/16400/PG_17_202406281/5/16384']])(
    'of one relation are not those of %s',
    (path) => {
      expect(blocks(changesOf(path, (changes) => changes.addBlocks(TABLE, [1])))).toEqual([]);
    },
  );

  test('of shared relations and of tablespaces are found', () => {
    const add = (changes: BlockChanges): void => {
      changes.addBlocks({ tablespace: 1664, database: 0, relation: 1262 }, [2]);
      changes.addBlocks({ tablespace: 16400, database: 5, relation: 16384 }, [4]);
    };
    expect(blocks(changesOf('global/1262', add))).toEqual([2]);
    expect(blocks(changesOf('pg_tblspc/16400/PG_17_202406281/5/16384', add))).toEqual([4]);
  });
});

describe('a file is whole', () => {
  const cutAt = (block: number, path: string): number[] | 'whole' =>
    blocks(
      changesOf(path, (changes) => {
        changes.addLimit(TABLE, block);
        changes.addLimit(TABLE, block + 500);
        changes.addBlocks(TABLE, [3, PER_FILE + 4]);
      }),
    );

  test('when its relation was cut off in it or before it', () => {
    expect(cutAt(0, 'base/5/16384')).toBe('whole');
    expect(cutAt(PER_FILE - 1, 'base/5/16384')).toBe('whole');
    expect(cutAt(PER_FILE, 'base/5/16384')).toEqual([3]);
    expect(cutAt(PER_FILE, 'base/5/16384.1')).toBe('whole');
    expect(cutAt(2 * PER_FILE, 'base/5/16384.1')).toEqual([4]);
  });

  test('when its database was made anew in its tablespace', () => {
    const add = (changes: BlockChanges): void => {
      changes.addLimit({ ...TABLE, relation: 0 }, 0);
      changes.addBlocks(TABLE, [3]);
    };
    expect(blocks(changesOf('base/5/16384', add))).toBe('whole');
    expect(blocks(changesOf('base/5/1', add))).toBe('whole');
    expect(blocks(changesOf('base/6/16384', add))).toEqual([]);
    expect(blocks(changesOf('pg_tblspc/16400/PG_17_202406281/5/16384', add))).toEqual([]);
  });
});
