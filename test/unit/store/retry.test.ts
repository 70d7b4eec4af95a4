import { describe, expect, it } from 'vitest';
import { WalholdError } from '../../../src/base/errors.ts';
import { retryPolicy, type RetryPolicy, type RetrySettings } from '../../../src/store/retry.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const down = (detail = 'connection refused'): WalholdError =>
  new WalholdError('unreachable', 'could not look at x', { detail, hint: 'Look at the cable.' });

function policyWith(clock: ManualClock, settings: Partial<RetrySettings> = {}): RetryPolicy {
  return retryPolicy({ clock, random: () => 0.999_999, requestTimeoutMs: 30_000, ...settings });
}

/** Fails so many times, then answers. */
function failing(times: number, error: Error = down()): { attempt: () => Promise<string>; calls: () => number } {
  let calls = 0;
  const attempt = (): Promise<string> => {
    calls += 1;
    return calls <= times ? Promise.reject(error) : Promise.resolve('answer');
  };
  return { attempt, calls: () => calls };
}

const never = (): AbortSignal => new AbortController().signal;

describe('a retry policy', () => {
  it('repeats what did not answer, with pauses that double from 100 ms to 5 s', async () => {
    const clock = new ManualClock();
    const work = failing(8);
    const done = policyWith(clock).run('look at x', work.attempt, { signal: never() });
    await clock.advance(60_000);
    expect(await done).toBe('answer');
    expect(work.calls()).toBe(9);
    const pauses = clock.sleeps.filter((ms) => ms !== 30_000);
    expect(pauses).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  });

  it('pauses anything from nothing to the bound', async () => {
    const clock = new ManualClock();
    const work = failing(3);
    const done = policyWith(clock, { random: () => 0 }).run('look at x', work.attempt, { signal: never() });
    await clock.advance(0);
    expect(await done).toBe('answer');
  });

  it.each(['denied', 'store-rejected', 'store-gone', 'damaged', 'config', 'io'] as const)(
    'does not repeat an answer: %s',
    async (code) => {
      const error = new WalholdError(code, 'no');
      const work = failing(1, error);
      const run = policyWith(new ManualClock()).run('look at x', work.attempt, { signal: never() });
      await expect(run).rejects.toBe(error);
      expect(work.calls()).toBe(1);
    },
  );

  it('does not repeat an error that is not a store error', async () => {
    const error = new TypeError('a mistake of ours');
    await expect(policyWith(new ManualClock()).run('x', failing(1, error).attempt, { signal: never() })).rejects.toBe(
      error,
    );
  });

  it('begins no try when its patience is over, which begins with the first failure', async () => {
    const clock = new ManualClock();
    const policy = policyWith(clock, { tries: 5, patienceMs: 25_000 });
    let asked = 0;
    const silent = (): Promise<never> => {
      asked += 1;
      return new Promise(() => undefined);
    };
    const run = policy.run('look at x', silent, { signal: never() });
    const refused = expect(run).rejects.toMatchObject({
      detail: expect.stringMatching(/\(2 tries in 60.* s\)$/) as string,
    });
    await clock.advance(200_000);
    await refused;
    expect(asked).toBe(2);

    const reading = policy.series('read x', { signal: never() });
    for (const pauseMs of [50_000, 20_000]) {
      // Whoever reads may take long.
      await clock.advance(pauseMs);
      const again = reading.failed(down());
      await clock.advance(1000);
      await again;
    }
    await clock.advance(5000);
    await expect(reading.failed(down())).rejects.toMatchObject({ code: 'unreachable' });
    reading.worked();
    const anew = reading.failed(down());
    await clock.advance(1000);
    await anew;
  });

  it('gives up after the tries it has, with the last error, their number and the time', async () => {
    const clock = new ManualClock();
    const work = failing(99);
    const run = policyWith(clock, { tries: 3 }).run('look at x', work.attempt, { signal: never() });
    const refused = expect(run).rejects.toMatchObject({
      code: 'unreachable',
      message: 'could not look at x',
      detail: 'connection refused (3 tries in 0.3 s)',
      hint: 'Look at the cable.',
    });
    await clock.advance(60_000);
    await refused;
    expect(work.calls()).toBe(3);
  });

  it('gives the plain error when there was one try', async () => {
    const error = down();
    const run = policyWith(new ManualClock(), { tries: 1 }).run('x', failing(1, error).attempt, { signal: never() });
    await expect(run).rejects.toBe(error);
  });

  it('tells at the deadline what the store did, not that time ran out', async () => {
    const clock = new ManualClock();
    const controller = new AbortController();
    const run = policyWith(clock).run('look at x', failing(99).attempt, { signal: controller.signal });
    const detail = 'connection refused (5 tries in 2.9 s)';
    const refused = expect(run).rejects.toMatchObject({ code: 'unreachable', detail });
    await clock.advance(2900);
    controller.abort(new WalholdError('deadline', 'out of time'));
    await refused;
  });

  it('tells it also when the deadline cuts a try that hangs', async () => {
    const clock = new ManualClock();
    const controller = new AbortController();
    let calls = 0;
    const attempt = (): Promise<string> => {
      calls += 1;
      return calls === 1 ? Promise.reject(down()) : new Promise(() => undefined);
    };
    const run = policyWith(clock).run('look at x', attempt, { signal: controller.signal });
    const detail = 'connection refused (1 try in 2 s)';
    const refused = expect(run).rejects.toMatchObject({ code: 'unreachable', detail });
    await clock.advance(2000);
    expect(calls).toBe(2);
    controller.abort(new WalholdError('deadline', 'out of time'));
    await refused;
  });

  it('ends with the reason when told to stop, at once', async () => {
    const clock = new ManualClock();
    const controller = new AbortController();
    const reason = new WalholdError('interrupted', 'told to stop');
    const run = policyWith(clock).run('look at x', failing(99).attempt, { signal: controller.signal });
    const refused = expect(run).rejects.toBe(reason);
    await clock.advance(1000);
    controller.abort(reason);
    await refused;
  });

  it('does not try at all once the signal has aborted', async () => {
    const work = failing(0);
    const reason = new WalholdError('interrupted', 'told to stop');
    const run = policyWith(new ManualClock()).run('x', work.attempt, { signal: AbortSignal.abort(reason) });
    await expect(run).rejects.toBe(reason);
    expect(work.calls()).toBe(0);
  });

  it('gives up a try that hangs, even one that ignores its signal, and tries again', async () => {
    const clock = new ManualClock();
    const signals: AbortSignal[] = [];
    const run = policyWith(clock).run(
      'look at x',
      (signal) => {
        signals.push(signal);
        return signals.length < 3 ? new Promise<string>(() => undefined) : Promise.resolve('answer');
      },
      { signal: never() },
    );
    await clock.advance(29_999);
    expect(signals).toHaveLength(1);
    await clock.advance(40_000);
    expect(await run).toBe('answer');
    expect(signals.map((signal) => signal.aborted)).toEqual([true, true, false]);
    expect(signals[0]?.reason).toMatchObject({ code: 'unreachable', detail: 'no answer within 30 s' });
  });

  it('leaves the signal of a try that worked tied to the caller, and free of the time-out', async () => {
    const clock = new ManualClock();
    const controller = new AbortController();
    const signal = await policyWith(clock).run('open x', (once) => Promise.resolve(once), {
      signal: controller.signal,
    });
    await clock.advance(100_000);
    expect(signal.aborted).toBe(false);
    controller.abort();
    expect(signal.aborted).toBe(true);
  });

  it('counts the tries of a series anew after progress', async () => {
    const clock = new ManualClock();
    const series = policyWith(clock, { tries: 2, random: () => 0 }).series('list x', { signal: never() });
    for (let round = 0; round < 5; round += 1) {
      const failed = series.failed(down());
      await clock.advance(0);
      await failed;
      series.worked();
    }
    const first = series.failed(down());
    await clock.advance(0);
    await first;
    await expect(series.failed(down())).rejects.toMatchObject({ code: 'unreachable' });
  });
});
