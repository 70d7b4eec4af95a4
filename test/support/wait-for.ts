import { setTimeout as delay } from 'node:timers/promises';

export interface WaitOptions {
  /** What is waited for, as it should read in the error: "the standby to reach 0/3000000". */
  what: string;
  deadlineMs?: number;
  everyMs?: number;
}

/**
 * Asks `probe` again and again until it gives something truthy, and returns that. A probe that throws counts as "not
 * yet"; its last error is the cause of the error thrown when the deadline (default 60 s) has passed.
 */
export async function waitFor<T>(probe: () => Promise<T> | T, options: WaitOptions): Promise<NonNullable<T>> {
  const { what, deadlineMs = 60_000, everyMs = 50 } = options;
  const end = performance.now() + deadlineMs;
  let cause: unknown;
  for (;;) {
    try {
      const found = await probe();
      if (found) return found;
      cause = undefined;
    } catch (error) {
      if (error instanceof GiveUp) throw error;
      cause = error;
    }
    if (performance.now() >= end) {
      throw new Error(`waited ${deadlineMs} ms in vain for ${what}`, { cause });
    }
    await delay(everyMs);
  }
}

/** Thrown by a probe that knows that waiting longer is useless; {@link waitFor} lets it through at once. */
export class GiveUp extends Error {}
