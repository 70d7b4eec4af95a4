import { describe, expect, it } from 'vitest';
import { SharedCounters } from '../../../../src/commands/backup/shared-counters.ts';

describe('counters of several threads', () => {
  it('are the same in all of them', () => {
    const one = new SharedCounters();
    const other = new SharedCounters(one.memory);
    one.addBytes(5_000_000_000);
    other.addBytes(7);
    expect(one.bytes).toBe(5_000_000_007);
    expect([one.nextPart(), other.nextPart(), one.nextPart()]).toEqual([1, 2, 3]);
  });

  it('hand out time one after another', () => {
    const one = new SharedCounters();
    const other = new SharedCounters(one.memory);
    expect(one.takeTime(1000, 100)).toBe(0);
    expect(other.takeTime(1000, 50)).toBe(100);
    expect(one.takeTime(1020, 10)).toBe(130);
  });

  it('do not make up for time that nobody took', () => {
    const counters = new SharedCounters();
    counters.takeTime(1000, 100);
    expect(counters.takeTime(60_000, 100)).toBe(0);
    expect(counters.takeTime(60_000, 100)).toBe(100);
  });
});
