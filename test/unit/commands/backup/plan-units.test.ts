import { describe, expect, it } from 'vitest';
import { planUnits, type CopyPlan, type PlannedChange } from '../../../../src/commands/backup/plan-units.ts';
import type { CopyUnit } from '../../../../src/commands/backup/thread-protocol.ts';

const MB = 1024 * 1024;

const unitsOf = (plan: CopyPlan): CopyUnit[] => planUnits(plan).map(({ unit }) => unit);

describe('the order of copying', () => {
  it('is the largest first, each alone, then the small ones in runs, then directories', () => {
    const files = [
      { path: 'small-1', bytes: 10 },
      { path: 'large', bytes: 5 * MB },
      { path: 'small-2', bytes: 20 },
      { path: 'largest', bytes: 900 * MB },
    ];
    expect(unitsOf({ files, directories: ['base', 'global'] })).toEqual([
      { kind: 'files', paths: ['largest'] },
      { kind: 'files', paths: ['large'] },
      { kind: 'files', paths: ['small-1', 'small-2'] },
      { kind: 'directories', paths: ['base', 'global'] },
    ]);
  });

  it('bundles small files up to about a megabyte, headers counted', () => {
    const files = Array.from({ length: 3000 }, (_, i) => ({ path: `f${i}`, bytes: i % 2 === 0 ? 0 : 8192 }));
    const units = unitsOf({ files, directories: [] });
    expect(units.flatMap((unit) => (unit.kind === 'files' ? unit.paths : []))).toEqual(files.map(({ path }) => path));
    expect(units.length).toBeGreaterThan(10);
    expect(units.length).toBeLessThan(20);
  });

  it('mixes large changes with large files, and bundles small changes by themselves', () => {
    const change = (path: string, bytes: number): PlannedChange => ({ file: { path, blocks: undefined }, bytes });
    const plan = {
      files: [
        { path: 'small', bytes: 10 },
        { path: 'large', bytes: 5 * MB },
      ],
      changes: [change('a', 0), change('larger', 6 * MB), change('b', 8192), change('less', 4 * MB)],
      directories: [],
    };
    const unit = (...paths: string[]): CopyUnit => ({
      kind: 'changes',
      files: paths.map((path) => ({ path, blocks: undefined })),
    });
    expect(planUnits(plan).map(({ bytes }) => bytes)).toEqual([6 * MB, 5 * MB, 4 * MB, 10, 8192]);
    expect(unitsOf(plan)).toEqual([
      unit('larger'),
      { kind: 'files', paths: ['large'] },
      unit('less'),
      { kind: 'files', paths: ['small'] },
      unit('a', 'b'),
    ]);
  });

  it('is empty for nothing', () => {
    expect(planUnits({ files: [], directories: [] })).toEqual([]);
  });
});
