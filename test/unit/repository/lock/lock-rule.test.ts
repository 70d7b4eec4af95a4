import { describe, expect, it } from 'vitest';
import { OPEN } from '../../../../src/repository/lock/kept-backups.ts';
import { isEnough, lengthened, type LockRule } from '../../../../src/repository/lock/lock-rule.ts';
import type { Retention, RetentionMode } from '../../../../src/store/store.ts';

const DAY = 86_400_000;
const NOW = Date.UTC(2026, 5, 1);
const RULE: LockRule = { mode: 'governance', periodMs: 30 * DAY, maxMs: 100 * DAY };

const lock = (days: number, mode: RetentionMode = 'governance'): Retention => ({
  mode,
  until: new Date(NOW + days * DAY),
});
const end = (days: number): number => NOW + days * DAY;

describe('a lock is enough', () => {
  it.each<[what: string, lock: Retention | undefined, end: number, rule: LockRule, enough: boolean]>([
    ['no lock', undefined, OPEN, RULE, false],
    ['half a period for no known end', lock(15), OPEN, RULE, true],
    ['less than half a period for no known end', lock(14.9), OPEN, RULE, false],
    ['up to a known end', lock(3), end(3), RULE, true],
    ['up to a known end, cut to the second', lock(3 - 0.5 / 86_400), end(3), RULE, true],
    ['short of a known end', lock(20), end(21), RULE, false],
    ['half of what may be set for an end beyond that', lock(50), end(1000), RULE, true],
    ['less than half of what may be set for an end beyond that', lock(49), end(1000), RULE, false],
    ['governance where compliance is asked for', lock(50), OPEN, { ...RULE, mode: 'compliance' }, false],
    [
      "a bucket's policy where compliance is asked for",
      lock(50, 'policy'),
      OPEN,
      { ...RULE, mode: 'compliance' },
      false,
    ],
    ['compliance where governance is asked for', lock(50, 'compliance'), OPEN, RULE, true],
    ['any mode where the bucket decides', lock(50, 'policy'), OPEN, { ...RULE, mode: 'bucket' }, true],
    ['a read-only file', lock(50, 'read-only'), OPEN, RULE, true],
    [
      'a read-only file where the attribute is wanted',
      lock(50, 'read-only'),
      OPEN,
      { ...RULE, attribute: true },
      false,
    ],
    ['an immutable file', lock(50, 'immutable'), OPEN, { ...RULE, mode: 'compliance', attribute: true }, true],
  ])('%s', (_, found, until, rule, enough) => {
    expect(isEnough(found, until, rule, NOW)).toBe(enough);
  });
});

describe('a lock that is not enough becomes', () => {
  const become = (
    found: Retention | undefined,
    until: number,
    rule: LockRule = RULE,
    byDefault?: RetentionMode,
  ): [string, number] => {
    const { mode, until: to } = lengthened(found, until, rule, { now: NOW, byDefault });
    return [mode, (to.getTime() - NOW) / DAY];
  };

  it('a period long, or as long as the known end, and never longer than it may be', () => {
    expect(become(undefined, OPEN)).toEqual(['governance', 30]);
    expect(become(lock(3), end(40))).toEqual(['governance', 40]);
    expect(become(lock(3), end(1000))).toEqual(['governance', 100]);
    expect(become(lock(3), OPEN, { ...RULE, periodMs: 200 * DAY })).toEqual(['governance', 100]);
  });

  it('never shorter than it is', () => {
    expect(become(lock(60), OPEN, { ...RULE, mode: 'compliance' })).toEqual(['compliance', 60]);
  });

  it('never weaker than it is', () => {
    expect(become(lock(3, 'compliance'), OPEN)).toEqual(['compliance', 30]);
  });

  it("as strict as the bucket's own where that decides", () => {
    const byBucket: LockRule = { ...RULE, mode: 'bucket' };
    expect(become(undefined, OPEN, byBucket, 'compliance')).toEqual(['compliance', 30]);
    expect(become(lock(3, 'compliance'), OPEN, byBucket, 'governance')).toEqual(['compliance', 30]);
    expect(become(undefined, OPEN, byBucket)).toEqual(['governance', 30]);
  });

  it('long enough to the second that stores keep', () => {
    const { until } = lengthened(undefined, NOW + 10_500, RULE, { now: NOW, byDefault: undefined });
    expect(until.getTime()).toBe(NOW + 11_000);
  });
});
