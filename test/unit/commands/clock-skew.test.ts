import { describe, expect, it } from 'vitest';
import { SILENT } from '../../../src/base/log.ts';
import { warnOfSkew } from '../../../src/commands/clock-skew.ts';
import { memoryRepository } from '../../support/memory-repository.ts';

function warningsFor(...skews: (number | undefined)[]): string[] {
  const warnings: string[] = [];
  const repositories = skews.map((skewMs, at) => {
    return memoryRepository({ number: at + 1, ...(skewMs === undefined ? {} : { skewMs }) }).repository;
  });
  warnOfSkew(repositories, { ...SILENT, warning: (_, extra) => void warnings.push(extra?.detail ?? '') });
  return warnings;
}

describe('clocks apart', () => {
  it('are one warning, whichever way and however many stores', () => {
    expect(warningsFor(400_000, undefined, -301_000)).toEqual([
      'memory://1 is 400 s ahead; memory://3 is 301 s behind',
    ]);
  });

  it('are nothing up to five minutes, or where a store has no clock', () => {
    expect(warningsFor(300_000, -300_000, undefined)).toEqual([]);
  });
});
