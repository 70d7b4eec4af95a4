import type { Clock } from '../base/clock.ts';
import { WalholdError } from '../base/errors.ts';

/** A limit that can be lifted: its signal aborts with `deadline` after `ms`, or with the outer signal's reason. */
export interface Deadline extends Disposable {
  readonly signal: AbortSignal;
  /** Lifts the limit; the signal stays tied to the outer one. */
  readonly lift: () => void;
}

export function deadlineAfter(ms: number, clock: Clock, outer: AbortSignal): Deadline {
  const over = new AbortController();
  const lifted = new AbortController();
  clock.sleep(ms, AbortSignal.any([lifted.signal, outer])).then(
    () => over.abort(new WalholdError('deadline', `no answer within ${Math.round(ms / 100) / 10} s`)),
    () => undefined,
  );
  const lift = (): void => lifted.abort();
  return { signal: AbortSignal.any([outer, over.signal]), lift, [Symbol.dispose]: lift };
}
