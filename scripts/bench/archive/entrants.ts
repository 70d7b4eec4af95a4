import type { Archiver, Enter } from './archiver.ts';
import { barmanCloud } from './barman-cloud.ts';
import { pgbackrest, pgbackrestAsync } from './pgbackrest.ts';
import { cp } from './plain-copy.ts';
import { walhold, walholdDirect } from './walhold.ts';

// The first is the one that the others are compared with.
const ENTRANTS: readonly Enter[] = [walhold, walholdDirect, pgbackrestAsync, pgbackrest, barmanCloud, cp];

/** Said in the results of everything that WAL-G would be in. */
export const NO_WAL_G =
  'WAL-G is not among them: it comes as no package of the system, and could not be built from its published modules where this was measured';

/** The tools that this machine has, and of those only the ones named, if any are; `tell` hears of the rest. */
export async function entrants(only: readonly string[], tell: (line: string) => void): Promise<Archiver[]> {
  const found: Archiver[] = [];
  for (const enter of ENTRANTS) {
    const entrant = await enter();
    if (only.length > 0 && !only.includes(entrant.name)) continue;
    if ('missing' in entrant) tell(`${entrant.name} is left out: ${entrant.missing}`);
    else found.push(entrant);
  }
  return found;
}
