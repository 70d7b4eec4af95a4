import type { Spool } from './spool.ts';

const NAME = 'standby';

/**
 * Remembers that this run of the postmaster had `standby.signal`: the last call of a promotion comes after the file is gone, and
 * must still be answered as in a standby. `run`: see `Postmaster`.
 */
export async function noteStandby(spool: Spool, run: string): Promise<void> {
  if (!(await wasStandby(spool, run))) await spool.write(NAME, { run });
}

export async function wasStandby(spool: Spool, run: string): Promise<boolean> {
  return (await spool.read(NAME))?.['run'] === run;
}
