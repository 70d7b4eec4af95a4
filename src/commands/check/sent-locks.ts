import { stat } from 'node:fs/promises';
import type { Repository } from '../../repository/repository.ts';
import { openLockMemory } from '../../spool/lock-memory.ts';
import { openSpool } from '../../spool/spool.ts';
import type { CommandContext } from '../command-context.ts';
import { spoolPathOf } from '../local-cluster.ts';
import { lockMemoryOf } from '../lock-memory-of.ts';
import { item, settingName, type CheckItem } from './check-item.ts';

/**
 * Whether locks that were sent along with an object were there at once, by what the server's pushes saw during the last day; no row
 * where they saw none. A store that drops them is mended object by object, and an object may be seen without its lock for a moment.
 */
export async function sentLocksCheck(
  { config, log, clock }: Pick<CommandContext, 'config' | 'log' | 'clock'>,
  { number, settings, lock }: Pick<Repository, 'number' | 'settings' | 'lock'>,
  dataDirectory: string | undefined,
): Promise<CheckItem[]> {
  if (lock === undefined || dataDirectory === undefined) return [];
  const spool = await openSpool(spoolPathOf(dataDirectory, config), log, clock.now());
  const owner = (await stat(dataDirectory)).uid;
  const memory = await openLockMemory(spool, lockMemoryOf({ store: settings, lock }), { now: clock.now(), owner });
  const seen = [memory.recall('single'), memory.recall('stream')];
  if (!seen.includes('kept') && !seen.includes('dropped')) return [];
  const name = `${settingName(number)} locks sent along`;
  const expected = 'objects are locked from the moment on at which they are there';
  if (!seen.includes('dropped')) return [item(name, true, 'kept', expected)];
  const hint =
    'Each object is locked right after it is stored; one that a crash left without is found by walhold lock status. Use a newer version of this store, or another.';
  return [item(name, true, 'dropped by the store, and set afterwards', expected, hint)];
}
