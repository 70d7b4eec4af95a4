import type { Clock } from '../../src/base/clock.ts';

/** Time that passes only when told. */
export class ManualClock implements Clock {
  /** Every sleep asked for, in ms. */
  readonly sleeps: number[] = [];
  #now: number;
  readonly #sleepers: { until: number; wake: () => void }[] = [];

  constructor(now: number = Date.UTC(2026, 10, 22)) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    this.sleeps.push(ms);
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason as Error);
        return;
      }
      const sleeper = { until: this.#now + ms, wake: resolve };
      this.#sleepers.push(sleeper);
      const wakeEarly = (): void => {
        const at = this.#sleepers.indexOf(sleeper);
        if (at >= 0) this.#sleepers.splice(at, 1);
        reject(signal?.reason as Error);
      };
      signal?.addEventListener('abort', wakeEarly, { once: true });
    });
  }

  /** Lets `ms` pass: whoever sleeps until then wakes, in order, each seeing its own time. */
  async advance(ms: number): Promise<void> {
    await settled();
    const end = this.#now + ms;
    for (;;) {
      const due = this.#sleepers.filter(({ until }) => until <= end).sort((a, b) => a.until - b.until)[0];
      if (due === undefined) break;
      this.#sleepers.splice(this.#sleepers.indexOf(due), 1);
      this.#now = due.until;
      due.wake();
      await settled();
    }
    this.#now = end;
    await settled();
  }
}

/** Lets promise reactions run out. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
