import type { AsOf } from '../as-of.ts';
import { walOf, timelinesOf, type WalInventory } from '../../repository/wal-inventory.ts';

const LIVELY_MS = 3600 * 1000;

export interface ArchiveChoice {
  mode: 'preserve' | 'off';
  why: string;
}

/**
 * Whether the restored server shall go on archiving: beside an original that still does, it must not push into the same repository
 * by accident.
 */
export function chooseArchiveMode(
  wish: 'preserve' | 'off' | undefined,
  inventory: WalInventory,
  { nowMs, asOf }: { nowMs: number; asOf: AsOf | undefined },
): ArchiveChoice {
  if (wish !== undefined) return { mode: wish, why: 'as told by --archive-mode' };
  if (asOf !== undefined)
    return { mode: 'off', why: `with --as-of it is not seen who has archived since ${asOf.text}` };
  const newest = newestStored(inventory);
  if (newest === undefined) return { mode: 'preserve', why: 'no WAL is stored' };
  const minutes = Math.max(0, Math.round((nowMs - newest) / 60_000));
  const when = `the last segment was stored ${minutes} minutes ago`;
  return nowMs - newest < LIVELY_MS
    ? { mode: 'off', why: `${when}, so the original seems to be running` }
    : { mode: 'preserve', why: when };
}

function newestStored(inventory: WalInventory): number | undefined {
  const last = timelinesOf(inventory).flatMap((timeline) => {
    const { segments, partials } = walOf(inventory, timeline);
    const end = segments.runs.at(-1)?.last;
    const segment = end === undefined ? undefined : segments.get(end)?.storedAt?.getTime();
    return [segment, partials.at(-1)?.storedAt.getTime()].filter((one) => one !== undefined);
  });
  return last.length === 0 ? undefined : Math.max(...last);
}
