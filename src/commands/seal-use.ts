import type { SealUse } from '../repository/sealed-wal.ts';
import type { CommandContext } from './command-context.ts';

/** How a command that reads goes by seals. `undefined`, with `--as-of`: folding a past costs as much as listing it. */
export function sealUse({
  clock,
  random,
  asOf,
}: Pick<CommandContext, 'clock' | 'random' | 'asOf'>): SealUse | undefined {
  return asOf === undefined ? { clock, random } : undefined;
}
