import { WalholdError } from '../base/errors.ts';

/** Tells whether whoever asked still waits for the answer. */
export interface Asker {
  /** Throws `interrupted` once it does not: what is put in place then could meet another call's file. */
  requireWaiting(): void;
}

/**
 * `callers`: the processes above this one, nearest first, at each call. Between this process and the postmaster all must live on;
 * where no postmaster is among them (pg_rewind, a person) only the launcher counts, since shells that start something may end.
 */
export function askerAmong(callers: () => readonly number[], postmaster: number | undefined): Asker {
  const atFirst = callers();
  const place = postmaster === undefined ? -1 : atFirst.indexOf(postmaster);
  const needed = atFirst.slice(0, Math.max(place, 0) + 1);
  return {
    requireWaiting() {
      const now = callers();
      if (needed.every((pid, at) => now[at] === pid)) return;
      throw new WalholdError('interrupted', 'whoever asked for the file is gone');
    },
  };
}
