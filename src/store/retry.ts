/**
 * Repeating what a store did not answer: full-jitter exponential backoff until it works, the caller's signal aborts or the tries
 * are spent. Only `unreachable` is repeated; every other answer is an answer.
 */
import type { Clock } from '../base/clock.ts';
import { hasCode, reasonOf, WalholdError } from '../base/errors.ts';
import { SILENT, type Log } from '../base/log.ts';
import { abortable } from './abortable.ts';
import type { CallOptions } from './store.ts';

export interface RetrySettings {
  clock: Clock;
  /** Evenly in [0, 1). */
  random: () => number;
  /** How long one try may go without an answer. */
  requestTimeoutMs: number;
  /** Most tries for one call; without it only the signal ends them. 1 for a probe of a store known to be down. */
  tries?: number;
  /** No try begins so long after the first failure: a silent store costs its time-out each time. Without it only `tries` count. */
  patienceMs?: number;
  /** Upper bounds of the first and of any later pause. */
  firstPauseMs?: number;
  longestPauseMs?: number;
  log?: Log;
}

export interface RetryPolicy {
  readonly requestTimeoutMs: number;
  /**
   * The first result of `attempt`. Each try has a signal of its own, which aborts with the caller's or after `requestTimeoutMs`; it
   * stays tied to the caller's after a success, for a body still to be read.
   */
  run<T>(what: string, attempt: (signal: AbortSignal) => Promise<T>, options: CallOptions): Promise<T>;
  /** For calls that give results as they go: the same rules, driven from outside. */
  series(what: string, options: CallOptions): RetrySeries;
}

export interface RetrySeries {
  /** Returns after a pause when the call is worth repeating, otherwise throws what the caller of the store shall see. */
  failed(error: unknown): Promise<void>;
  /** Progress: the next failure counts as the first. */
  worked(): void;
}

export function retryPolicy(settings: RetrySettings): RetryPolicy {
  const { requestTimeoutMs } = settings;
  const series: RetryPolicy['series'] = (what, options) => retrySeries(settings, what, options.signal);
  return {
    requestTimeoutMs,
    series,
    async run(what, attempt, options) {
      const tries = series(what, options);
      for (;;) {
        try {
          return await tryOnce(settings, what, attempt, options.signal);
        } catch (error) {
          await tries.failed(error);
        }
      }
    },
  };
}

async function tryOnce<T>(
  settings: RetrySettings,
  what: string,
  attempt: (signal: AbortSignal) => Promise<T>,
  caller: AbortSignal,
): Promise<T> {
  caller.throwIfAborted();
  const timeout = new AbortController();
  const answered = new AbortController();
  settings.clock.sleep(settings.requestTimeoutMs, answered.signal).then(
    () => timeout.abort(noAnswer(what, settings.requestTimeoutMs)),
    () => undefined,
  );
  try {
    const signal = AbortSignal.any([caller, timeout.signal]);
    return await abortable(signal, attempt(signal));
  } finally {
    answered.abort();
  }
}

function noAnswer(what: string, requestTimeoutMs: number): WalholdError {
  return new WalholdError('unreachable', `could not ${what}`, {
    detail: `no answer within ${seconds(requestTimeoutMs)}`,
  });
}

function retrySeries(settings: RetrySettings, what: string, signal: AbortSignal): RetrySeries {
  const {
    clock,
    random,
    tries = Infinity,
    patienceMs = Infinity,
    firstPauseMs = 100,
    longestPauseMs = 5000,
    log = SILENT,
  } = settings;
  let begun = clock.now();
  let failures = 0;
  let firstFailedAt = 0;
  let last: WalholdError | undefined;
  return {
    worked() {
      begun = clock.now();
      failures = 0;
      last = undefined;
    },
    async failed(error) {
      if (signal.aborted) throw atTheEnd(signal, last, failures, clock.now() - begun);
      if (!hasCode(error, 'unreachable')) throw error;
      last = error;
      failures += 1;
      if (failures === 1) firstFailedAt = clock.now();
      if (failures >= tries || clock.now() - firstFailedAt >= patienceMs)
        throw failures === 1 ? error : counted(error, failures, clock.now() - begun);
      const pauseMs = Math.round(random() * Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(failures - 1, 30)));
      log.debug(`could not ${what}, trying again in ${pauseMs} ms`, { detail: error.detail ?? error.message });
      try {
        await clock.sleep(pauseMs, signal);
      } catch {
        throw atTheEnd(signal, last, failures, clock.now() - begun);
      }
    },
  };
}

/** Out of time, the store's last failure says more than the deadline; told to stop, the reason is that. */
function atTheEnd(signal: AbortSignal, last: WalholdError | undefined, failures: number, elapsedMs: number): unknown {
  const reason: unknown = signal.reason;
  const outOfTime = hasCode(reason, 'deadline') || (reason instanceof Error && reason.name === 'TimeoutError');
  return outOfTime && last !== undefined ? counted(last, failures, elapsedMs) : reason;
}

function counted(last: WalholdError, failures: number, elapsedMs: number): WalholdError {
  const tries = failures === 1 ? '1 try' : `${failures} tries`;
  return new WalholdError(last.code, last.message, {
    detail: `${last.detail ?? reasonOf(last.cause ?? last)} (${tries} in ${seconds(elapsedMs)})`,
    cause: last,
    ...(last.hint === undefined ? {} : { hint: last.hint }),
  });
}

function seconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`;
}
