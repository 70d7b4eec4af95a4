import { shortName } from './known-repositories.ts';
import type { Spool } from './spool.ts';

/** What a push that had its full time found of one repository. */
export interface PushOutage {
  /** Where it failed: before any answer (`reach`), or in the upload itself (`store`). */
  stage: 'reach' | 'store';
}

/**
 * For how long a failed push counts: the next ones get one quick attempt. Then one takes its full time again, so that a slow store
 * is not given up for ever, while a fast shutdown, which waits for up to five calls, meets at most one that is slow.
 */
const VALID_MS = 180_000;

/** The outage of the repository at `place`, while it is fresh. */
export async function readPushOutage(spool: Spool, place: string, now: number): Promise<PushOutage | undefined> {
  const note = await spool.read(noteName(place));
  const at = note?.['at'];
  if (note?.['place'] !== place || typeof at !== 'number' || at > now || now - at >= VALID_MS) return undefined;
  return { stage: note['stage'] === 'reach' ? 'reach' : 'store' };
}

/** Only for failures that had their full time: a quick one proves too little to renew the note. */
export async function notePushOutage(spool: Spool, place: string, outage: PushOutage, now: number): Promise<void> {
  await spool.write(noteName(place), { place, at: now, stage: outage.stage });
}

/** The repository took a file: nothing is left of the outage. */
export async function clearPushOutage(spool: Spool, place: string): Promise<void> {
  await spool.remove(noteName(place));
}

function noteName(place: string): string {
  return `push-outage-${shortName(place)}`;
}
