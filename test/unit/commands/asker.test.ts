import { describe, expect, test } from 'vitest';
import { askerAmong } from '../../../src/commands/asker.ts';

describe('whoever asked', () => {
  const among = (first: number[], later: number[], postmaster?: number): (() => void) => {
    const answers = [first, later];
    const asker = askerAmong(() => answers.shift() ?? [], postmaster);
    return () => asker.requireWaiting();
  };

  test.each([
    ['the launcher has ended', [50, 40, 1], [1], 1],
    ['the startup process has ended, and the launcher is the postmaster’s now', [50, 40, 1], [50, 1], 1],
    ['the postmaster has ended', [50, 40, 30, 1], [50, 40, 1], 30],
    ['the launcher of a person has ended', [50, 40, 1], [1], undefined],
  ])('is gone when %s', (_, first, later, postmaster) => {
    expect(among(first, later, postmaster)).toThrow(expect.objectContaining({ code: 'interrupted' }) as Error);
  });

  test.each([
    ['nothing has changed', [50, 40, 1], [50, 40, 1], 40],
    ['what is above the postmaster has ended', [50, 40, 30, 20, 1], [50, 40, 30, 1], 30],
    ['the shell of a person has ended', [50, 40, 1], [50, 1], undefined],
  ])('still waits when %s', (_, first, later, postmaster) => {
    expect(among(first, later, postmaster)).not.toThrow();
  });
});
