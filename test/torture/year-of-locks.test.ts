import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MOST_SKIPPED, type ExpireJson } from '../../src/commands/expire/expire-output.ts';
import type { LockExtendJson } from '../../src/commands/lock/lock-extend.ts';
import type { LockStatusJson } from '../../src/commands/lock/lock-status-json.ts';
import { LONG } from '../support/effort.ts';
import { MadeYear, type Measured } from '../support/made-year.ts';

/** A year with two million segments, or a fortieth of it. */
const SIZE = LONG ? { segments: 2_000_000, backups: 8760 } : { segments: 50_000, backups: 219 };
/** A fortieth of two minutes would be three seconds: starting Node and other work on the machine count, too. */
const MOST_SECONDS = LONG ? 120 : 30;
const MOST_BYTES = 300 * 1024 * 1024;
const MINUTES = 60_000;

let year: MadeYear;

beforeAll(async () => {
  year = await MadeYear.make({ name: 'year', ...SIZE, timeoutMs: 20 * MINUTES });
}, 20 * MINUTES);
afterAll(async () => {
  await year[Symbol.asyncDispose]();
}, 20 * MINUTES);

function lock<T>(command: string): Promise<T & Measured> {
  return year.walhold<T>(['lock', command]);
}

describe(`a year with ${SIZE.segments} segments`, () => {
  it(
    'is looked through, and found to be locked, in time and memory',
    async () => {
      const { repositories, ...result } = await lock<LockStatusJson>('status');
      expect(repositories[0]?.classes.wal).toMatchObject({ objects: SIZE.segments });
      expect(repositories[0]?.backups).toHaveLength(SIZE.backups);
      expect(result).toMatchObject({ status: 0, ok: true });
      expect(result.seconds).toBeLessThan(MOST_SECONDS);
      expect(result.peakBytes).toBeLessThan(MOST_BYTES);
    },
    10 * MINUTES,
  );

  it(
    'is extended, where nothing is to be done, in time and memory; the second time by the record of the first',
    async () => {
      const seals = join(year.root, 'seal');
      for (const run of [1, 2]) {
        const { repositories, ...result } = await lock<LockExtendJson>('extend');
        const [one] = repositories;
        expect(result).toMatchObject({ status: 0, ok: true });
        expect(one?.extended.objects).toBe(0);
        const byRecord = one?.enough.byRecord.objects ?? 0;
        if (run === 1) expect(byRecord).toBe(0);
        else expect(byRecord).toBeGreaterThan(SIZE.segments * 0.9);
        // Of many logs one that names none yet came first; the second run has nothing new to say.
        expect(await readdir(seals)).toHaveLength(LONG ? 2 : 1);
        expect(result.seconds).toBeLessThan(MOST_SECONDS);
        expect(result.peakBytes).toBeLessThan(MOST_BYTES);
      }
    },
    10 * MINUTES,
  );

  it(
    'is planned to expire in time and memory: all that is over is locked, and stays',
    async () => {
      const argv = ['expire', '--dry-run', '--retention-window', '14d'];
      const { repositories, removed, ...result } = await year.walhold<ExpireJson>(argv);
      expect(result.status).toBe(0);
      expect(removed).toEqual([]);
      const skipped = repositories[0]?.skippedObjects ?? 0;
      expect(skipped).toBeGreaterThan(SIZE.segments * 0.9);
      expect(result.skipped).toHaveLength(Math.min(skipped, MOST_SKIPPED));
      expect(result.seconds).toBeLessThan(MOST_SECONDS);
      expect(result.peakBytes).toBeLessThan(MOST_BYTES);
    },
    10 * MINUTES,
  );
});
