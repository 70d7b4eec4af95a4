import type { Spool } from './spool.ts';

const NAME = 'own-wal';

/** Whether all of its own WAL that a server on this timeline had when it began there was stored. */
export async function isOwnWalStored(spool: Spool, timeline: number): Promise<boolean> {
  return (await spool.read(NAME))?.['timeline'] === timeline;
}

export async function noteOwnWalStored(spool: Spool, timeline: number): Promise<void> {
  await spool.write(NAME, { timeline });
}
