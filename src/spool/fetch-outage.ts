import type { Spool } from './spool.ts';

const NAME = 'fetch-outage';

/**
 * How long calls have waited, all together, for stores that do not answer: the budget is for the outage, not for each call, since
 * a promotion makes four or five in a row. Counted anew by each run of the postmaster.
 */
export async function readOutageSpent(spool: Spool, run: string): Promise<number> {
  const note = await spool.read(NAME);
  const spentMs = note?.['spentMs'];
  if (note?.['run'] !== run || typeof spentMs !== 'number' || !(spentMs >= 0)) return 0;
  return spentMs;
}

export async function noteOutageSpent(spool: Spool, run: string, spentMs: number): Promise<void> {
  await spool.write(NAME, { run, spentMs: Math.round(spentMs) });
}

/** All stores have answered again. */
export async function clearOutage(spool: Spool): Promise<void> {
  await spool.remove(NAME);
}
