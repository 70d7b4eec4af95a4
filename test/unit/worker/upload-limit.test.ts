import { describe, expect, it } from 'vitest';
import { UploadLimit } from '../../../src/worker/upload-limit.ts';

/** Files of 1 MB through a store: `speed(n)` is how many a second it stores of `n` at the same time. */
function drive(limit: UploadLimit, speed: (atOnce: number) => number, files: number): void {
  let now = 0;
  for (let file = 0; file < files; file += 1) {
    now += 1000 / speed(limit.value);
    limit.stored(1_000_000, now, true);
  }
}

describe('how many are on their way', () => {
  it('grows as long as more at once are faster', () => {
    const limit = new UploadLimit({ least: 2, most: 32 });
    drive(limit, (atOnce) => atOnce, 500);
    expect(limit.value).toBe(32);
  });

  it('stays low where the store is no faster for it', () => {
    const limit = new UploadLimit({ least: 2, most: 32 });
    drive(limit, () => 5, 500);
    expect(limit.value).toBeLessThanOrEqual(3);
  });

  it('settles about where more brings nothing', () => {
    const limit = new UploadLimit({ least: 2, most: 32 });
    drive(limit, (atOnce) => Math.min(atOnce, 8), 1000);
    expect(limit.value).toBeGreaterThanOrEqual(7);
    expect(limit.value).toBeLessThanOrEqual(14);
  });

  it('does not grow while nothing waits for a place', () => {
    const limit = new UploadLimit({ least: 2, most: 32 });
    for (let now = 0; now < 100_000; now += 100) limit.stored(1_000_000, now, false);
    expect(limit.value).toBe(2);
  });

  it('is halved by a failure, never below the least, and grows again', () => {
    const limit = new UploadLimit({ least: 2, most: 32 });
    drive(limit, (atOnce) => atOnce, 500);
    limit.failed();
    expect(limit.value).toBe(16);
    for (let at = 0; at < 10; at += 1) limit.failed();
    expect(limit.value).toBe(2);
    drive(limit, (atOnce) => atOnce, 500);
    expect(limit.value).toBe(32);
  });
});
