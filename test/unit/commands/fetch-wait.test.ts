import { mkdtemp, rm, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WalholdError } from '../../../src/base/errors.ts';
import { SILENT, type Log } from '../../../src/base/log.ts';
import { waitForAnswer, type WaitOptions } from '../../../src/commands/fetch-wait.ts';
import type { Config } from '../../../src/config/config.ts';
import { parseWalName, type SegmentFile } from '../../../src/postgres/wal-name.ts';
import type { Repository } from '../../../src/repository/repository.ts';
import { NO_SPOOL, openSpool } from '../../../src/spool/spool.ts';
import type { Store } from '../../../src/store/store.ts';
import { FileRepository, SYSTEM_ID } from '../../support/file-repository.ts';
import { nameOf, putSegments, segmentBytes } from '../../support/made-segments.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const MINUTE_MS = 60_000;
const wanted = parseWalName(nameOf(5)) as SegmentFile;

let stored: FileRepository;
let clock: ManualClock;
let stop: AbortController;
let lines: string[];
/** What the store answers instead of the truth. */
let down: WalholdError | undefined;
let config: Pick<Config, 'onUnreachable' | 'unreachableTimeoutMs' | 'gapGraceMs'>;

beforeEach(async () => {
  stored = await FileRepository.create();
  clock = new ManualClock();
  stop = new AbortController();
  lines = [];
  down = undefined;
  config = { onUnreachable: 'auto', unreachableTimeoutMs: 30_000, gapGraceMs: 10_000 };
});
afterEach(async () => await stored[Symbol.asyncDispose]());

const log: Log = {
  ...SILENT,
  warning: (message) => void lines.push(`warning: ${message}`),
  error: (message) => void lines.push(`error: ${message}`),
};

function repository({ repository: real }: FileRepository, why: () => WalholdError | undefined): Repository {
  const { store } = real;
  const whenUp = <T>(call: () => T): T => {
    const error = why();
    if (error !== undefined) throw error;
    return call();
  };
  const failing: Store = {
    url: store.url,
    stat: async (key, options) => await whenUp(() => store.stat(key, options)),
    open: async (key, options) => await whenUp(() => store.open(key, options)),
    list: (prefix, options) => whenUp(() => store.list(prefix, options)),
    create: async (key, body, options) => await whenUp(() => store.create(key, body, options)),
    close: () => store.close(),
  };
  return { ...real, store: failing };
}

function ask(options: Partial<WaitOptions> = {}, others: readonly Repository[] = []): Promise<Buffer | undefined> {
  const context = { config, log, clock, random: () => 1, signal: stop.signal };
  return waitForAnswer(
    [repository(stored, () => down), ...others],
    wanted,
    {
      systemId: SYSTEM_ID,
      segmentBytes: 1024 * 1024,
      standby: false,
      postmaster: undefined,
      latest: true,
      target: undefined,
      asker: { requireWaiting: () => undefined },
      haveLocally: false,
      allowGap: undefined,
      waitedMs: 0,
      spool: NO_SPOOL,
      ...options,
    },
    context,
  );
}

/** Lets time pass until the call has ended, at most so long; the time that it took. */
async function elapsedUntil(call: Promise<unknown>, mostMs: number): Promise<number> {
  const begun = clock.now();
  let ended = false;
  const end = (): void => void (ended = true);
  call.then(end, end);
  while (!ended && clock.now() - begun < mostMs) {
    await clock.advance(500);
    // File system calls take real time.
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return clock.now() - begun;
}

const WRONG = new WalholdError('config', 'the region is wrong');
const UNREACHABLE = new WalholdError('unreachable', 'could not open it', { detail: 'ECONNREFUSED' });

describe('archive recovery', () => {
  test('waits for ever, says so once a minute, and goes on when the store is back', async () => {
    down = UNREACHABLE;
    const call = ask();
    expect(await elapsedUntil(call, 10 * MINUTE_MS)).toBeGreaterThanOrEqual(10 * MINUTE_MS);
    expect(lines.length).toBeGreaterThanOrEqual(10);
    expect(lines.length).toBeLessThanOrEqual(11);
    expect(new Set(lines)).toEqual(new Set([`warning: waiting for ${nameOf(5)}: could not open it`]));
    await putSegments(stored, 5, 5);
    down = undefined;
    expect(await elapsedUntil(call, MINUTE_MS)).toBeLessThan(6000);
    expect((await call)?.equals(segmentBytes(5))).toBe(true);
  }, 60_000);

  test('ends its waiting with the reason when it is told to stop', async () => {
    down = UNREACHABLE;
    const call = ask();
    await elapsedUntil(call, 3000);
    stop.abort(new WalholdError('interrupted', 'stopped'));
    await expect(call).rejects.toMatchObject({ code: 'interrupted' });
  });

  test('gives an upload in flight its grace before a hole is one', async () => {
    await putSegments(stored, 6, 6);
    const call = ask();
    call.catch(() => undefined);
    const elapsed = await elapsedUntil(call, MINUTE_MS);
    await expect(call).rejects.toMatchObject({ code: 'hole' });
    expect(elapsed).toBeGreaterThanOrEqual(10_000);
    expect(elapsed).toBeLessThan(12_000);
  });

  test('takes the segment that arrives within the grace', async () => {
    await putSegments(stored, 6, 6);
    const call = ask();
    await elapsedUntil(call, 3000);
    await putSegments(stored, 5, 5);
    await elapsedUntil(call, MINUTE_MS);
    expect((await call)?.equals(segmentBytes(5))).toBe(true);
    expect(lines).toEqual([]);
  });

  test.each(['denied', 'store-rejected', 'store-gone', 'damaged', 'identity'] as const)(
    'stops at once where the store says %s',
    async (code) => {
      down = new WalholdError(code, 'no');
      const call = ask();
      call.catch(() => undefined);
      expect(await elapsedUntil(call, MINUTE_MS)).toBeLessThan(1000);
      await expect(call).rejects.toMatchObject({ code });
    },
  );

  test('takes nothing from a repository that has lost its identity, though the file lies there', async () => {
    await putSegments(stored, 5, 5);
    await unlink(join(stored.root, 'walhold.json'));
    await expect(ask()).rejects.toMatchObject({ code: 'store-gone' });
  });

  test('with on_unreachable = stop waits for the budget', async () => {
    config.onUnreachable = 'stop';
    down = UNREACHABLE;
    const call = ask();
    call.catch(() => undefined);
    expect(await elapsedUntil(call, 2 * MINUTE_MS)).toBeGreaterThanOrEqual(30_000);
    await expect(call).rejects.toMatchObject({ code: 'unreachable' });
  });
});

describe('a standby', () => {
  test('waits for the budget, then goes on with an error', async () => {
    down = UNREACHABLE;
    const call = ask({ standby: true });
    const elapsed = await elapsedUntil(call, 2 * MINUTE_MS);
    expect(elapsed).toBeGreaterThanOrEqual(30_000);
    expect(elapsed).toBeLessThan(32_000);
    expect(await call).toBeUndefined();
    expect(lines.at(-1)).toBe(`error: going on without ${nameOf(5)}: could not open it`);
  });

  test.each([
    ['under a server', { pid: 1, run: '1 at noon' }],
    ['without one', undefined],
  ])('has one budget for the whole outage, %s', async (_, postmaster) => {
    const directory = await mkdtemp(join(tmpdir(), 'walhold-spool-'));
    try {
      down = UNREACHABLE;
      for (const expected of [
        [/^warning: waiting for/, /^error: going on without/],
        // No more waiting.
        [/^error: going on without/],
      ]) {
        lines = [];
        const spool = await openSpool(directory, log, clock.now());
        await elapsedUntil(ask({ standby: true, postmaster, spool }), 2 * MINUTE_MS);
        expect(lines).toEqual(expected.map((line) => expect.stringMatching(line) as string));
      }
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  test('goes on at once where there is a hole, with an error', async () => {
    await putSegments(stored, 6, 6);
    // The clock stands still: a call that waits for anything never ends.
    expect(await ask({ standby: true })).toBeUndefined();
    expect(lines).toEqual([expect.stringMatching(/^error: going on without .* is missing in every repository/)]);
  });

  describe('with a repository that is set up wrong', () => {
    let second: FileRepository;
    beforeEach(async () => {
      second = await FileRepository.create(2);
    });
    afterEach(async () => await second[Symbol.asyncDispose]());

    test('stops at once: no waiting mends a setting', async () => {
      down = WRONG;
      await expect(ask({ standby: true })).rejects.toBe(WRONG);
    });

    test('takes the file from another', async () => {
      await putSegments(second, 5, 5);
      down = WRONG;
      const found = await ask({ standby: true }, [second.repository]);
      expect(found?.equals(segmentBytes(5))).toBe(true);
      expect(lines).toEqual([expect.stringMatching(/^warning: could not read .* has it$/)]);
    });

    test.each(['auto', 'absent'] as const)(
      'stops where the others lack the file, with on_unreachable = %s',
      async (how) => {
        config.onUnreachable = how;
        down = WRONG;
        await expect(ask({ standby: true }, [second.repository])).rejects.toMatchObject({ code: 'config' });
        expect(lines).toEqual([]);
      },
    );

    test.each([
      ['the first', WRONG, UNREACHABLE],
      ['the second', UNREACHABLE, WRONG],
    ])('waits for the others, and stops when the budget is spent: %s', async (_, first, other) => {
      down = first;
      const call = ask({ standby: true, haveLocally: true }, [repository(second, () => other)]);
      call.catch(() => undefined);
      const elapsed = await elapsedUntil(call, 2 * MINUTE_MS);
      await expect(call).rejects.toMatchObject({ code: 'config', message: WRONG.message });
      expect(elapsed).toBeGreaterThanOrEqual(30_000);
    });
  });
});
