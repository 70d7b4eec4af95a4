import { describe, expect, it } from 'vitest';
import { ChainFiles, joinedPath, type LinkUse } from '../../../src/repository/chain-files.ts';
import type { BackupId } from '../../../src/repository/layout.ts';

const manifest = (...paths: (string | Buffer)[]): Parameters<ChainFiles['next']>[1] => ({
  files: paths.map((path) => ({ path, size: 0, modifiedAt: 0, checksum: undefined })),
});
const incremental = { id: 'incr' as BackupId, type: 'incremental' as const };
const full = { id: 'full' as BackupId, type: 'full' as const };
const usesOf = (use: LinkUse, ...paths: (string | Buffer)[]): string[] => paths.map((path) => use(path));

describe('the files of a chain', () => {
  it('are all of a full backup that stands alone', () => {
    const use = new ChainFiles().next(full, manifest('PG_VERSION', 'base/1/2', 'base/1/INCREMENTAL.3'));
    expect(usesOf(use, 'PG_VERSION', 'base/1/2', 'base/1/INCREMENTAL.3')).toEqual(['whole', 'whole', 'whole']);
  });

  it('are sought downwards until a link has them whole', () => {
    const files = new ChainFiles();
    const odd = Buffer.from([0xff]);
    const newest = files.next(incremental, manifest('PG_VERSION', 'base/1/INCREMENTAL.2', 'base/1/INCREMENTAL.3', odd));
    expect(usesOf(newest, 'PG_VERSION', 'base/1/INCREMENTAL.2', odd)).toEqual(['whole', 'blocks', 'whole']);
    const middle = files.next(
      incremental,
      manifest('PG_VERSION', 'base/1/INCREMENTAL.2', 'base/1/3', 'base/1/INCREMENTAL.4'),
    );
    expect(usesOf(middle, 'PG_VERSION', 'base/1/INCREMENTAL.2', 'base/1/3', 'base/1/INCREMENTAL.4', odd)).toEqual([
      'unused',
      'blocks',
      'base',
      'unused',
      'unused',
    ]);
    const last = files.next(full, manifest('PG_VERSION', 'base/1/2', 'base/1/3'));
    expect(usesOf(last, 'PG_VERSION', 'base/1/2', 'base/1/3')).toEqual(['unused', 'base', 'unused']);
    expect(files.sought).toBe(0);
  });

  it('must be in every link down to the first that has them whole', () => {
    const files = new ChainFiles();
    files.next(incremental, manifest('base/1/INCREMENTAL.2'));
    expect(() => files.next(full, manifest('base/1/INCREMENTAL.2', 'base/1/3'))).toThrow(
      expect.objectContaining({ code: 'damaged', detail: expect.stringMatching(/it lacks base\/1\/2,/) as string }),
    );
  });

  it.each([[['base/1/2', 'base/1/INCREMENTAL.2']], [['base/1/INCREMENTAL.2', 'base/1/2']]])(
    'are never both whole and incremental: %s',
    (paths) => {
      expect(() => new ChainFiles().next(incremental, manifest(...paths))).toThrow(
        expect.objectContaining({ code: 'damaged', detail: expect.stringMatching(/both whole and/) as string }),
      );
    },
  );

  it('take the name without the prefix', () => {
    expect(joinedPath('base/1/INCREMENTAL.2', 'blocks')).toBe('base/1/2');
    expect(joinedPath('base/1/2', 'base')).toBe('base/1/2');
    expect(joinedPath('base/1/INCREMENTAL.2', 'whole')).toBe('base/1/INCREMENTAL.2');
  });
});
