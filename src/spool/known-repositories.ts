import { createHash } from 'node:crypto';
import type { Spool } from './spool.ts';

/**
 * The spool's memory of where this cluster's repositories are: one that was seen with an identity and comes up without it is gone,
 * never new. `place`: all that says where it lies (`placeText`).
 */
export async function isKnownRepository(spool: Spool, place: string, systemId: bigint): Promise<boolean> {
  const note = await spool.read(noteName(place));
  return note?.['place'] === place && note['systemId'] === String(systemId);
}

/** Remembers it across crashes; nothing is written when it is known already. */
export async function rememberRepository(spool: Spool, place: string, systemId: bigint): Promise<void> {
  if (await isKnownRepository(spool, place, systemId)) return;
  await spool.write(noteName(place), { place, systemId: String(systemId) }, 'durable');
}

function noteName(place: string): string {
  return `known-${shortName(place)}`;
}

/** A file name for any text. */
export function shortName(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
