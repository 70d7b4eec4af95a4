import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { ExpireJson } from '../../src/commands/expire/expire-output.ts';
import type { ListJson } from '../../src/commands/list.ts';
import type { VerifyJson } from '../../src/commands/verify.ts';
import type { PlanJson } from '../../src/commands/restore/plan-report.ts';
import type { StatusJson } from '../../src/commands/status-json.ts';
import { sealWal } from '../../src/repository/seal-wal.ts';
import { LONG } from '../support/effort.ts';
import { SYSTEM_ID } from '../support/file-repository.ts';
import { MadeYear } from '../support/made-year.ts';
import { counted, list, plan, status } from '../support/year-requests.ts';

/** A year with two million segments, or a fortieth of it. */
const SIZE = LONG ? { segments: 2_000_000, backups: 1000 } : { segments: 50_000, backups: 25 };
const LOGS = Math.ceil(SIZE.segments / 256);
const MOST_BYTES = 300 * 1024 * 1024;
const MINUTES = 60_000;
const { signal } = new AbortController();

let year: MadeYear;

beforeAll(async () => {
  const timeoutMs = 20 * MINUTES;
  year = await MadeYear.make({ name: 'sealed-year', ...SIZE, words: ['--links'], timeoutMs });
}, 20 * MINUTES);
afterAll(async () => {
  await year[Symbol.asyncDispose]();
}, 20 * MINUTES);

describe(`a year with ${SIZE.segments} segments and ${SIZE.backups} backups`, () => {
  it(
    'is listed in whole where nothing seals it, and then sealed',
    async () => {
      const before = await counted(year.root, list);
      expect(before.requests.lists).toBeGreaterThan(SIZE.segments / 1000);
      const { requests } = await counted(year.root, async (repository) => {
        const cluster = { systemId: SYSTEM_ID, segmentBytes: 16 * 1024 * 1024 };
        const options = { signal, ...cluster, clock: systemClock, jobs: 2, by: 'a test' };
        // The last log is not whole.
        expect((await sealWal(repository, options)).logs).toBe(Math.floor(SIZE.segments / 256));
      });
      expect(requests.lists).toBeLessThan((SIZE.segments / 1000) * 1.5);
      const after = await counted(year.root, list);
      expect(after.shown).toEqual(before.shown);
    },
    20 * MINUTES,
  );

  it.each([
    ['list', list],
    ['status', status],
    ['restore --plan', plan],
  ])(
    '%s asks for little of what is sealed',
    async (name, work) => {
      const { requests } = await counted(year.root, work);
      // Directories, both ends of the row, eight lots, and what every command looks for; a plan lists its own way once more.
      const most = Math.ceil(LOGS / 1000) + 15;
      expect(requests.lists).toBeLessThanOrEqual(name === 'restore --plan' ? 2 * most : most);
      expect(requests.lists).toBeLessThan(50);
      expect(requests.lists).toBeGreaterThan(10);
      expect(requests.reads).toBeLessThan(SIZE.backups + 50);
    },
    10 * MINUTES,
  );

  it(
    'is shown in time and memory',
    async () => {
      const listed = await year.walhold<ListJson>(['list']);
      expect(listed.status).toBe(0);
      expect(listed.backups).toHaveLength(SIZE.backups);
      expect(listed.windows).toHaveLength(1);
      const shown = await year.walhold<StatusJson>(['status']);
      expect(shown.status).toBe(0);
      const planned = await year.walhold<PlanJson>(['restore', '--plan']);
      expect(planned).toMatchObject({ status: 0, reachable: true });
      for (const { seconds, peakBytes } of [listed, shown, planned]) {
        // Two seconds where nothing else runs.
        expect(seconds).toBeLessThan(15);
        expect(peakBytes).toBeLessThan(MOST_BYTES);
      }
    },
    10 * MINUTES,
  );

  it(
    'is planned to expire, and its names are verified, by what is there',
    async () => {
      const expired = await year.walhold<ExpireJson>(['expire', '--dry-run', '--retention-window', '14d']);
      expect(expired).toMatchObject({ status: 0, removed: [] });
      expect(expired.repositories[0]?.skippedObjects).toBeGreaterThan(SIZE.segments * 0.9);
      expect(expired.seconds).toBeLessThan(LONG ? 120 : 30);
      expect(expired.peakBytes).toBeLessThan(MOST_BYTES);
      const verified = await year.walhold<VerifyJson>(['verify', '--quick']);
      expect(verified).toMatchObject({ status: 0, problems: [] });
      expect(verified.seconds).toBeLessThan(LONG ? 120 : 30);
      expect(verified.peakBytes).toBeLessThan(MOST_BYTES);
    },
    10 * MINUTES,
  );
});
