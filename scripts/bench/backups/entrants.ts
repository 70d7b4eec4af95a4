import type { Cluster } from '../../../test/support/cluster.ts';
import type { Contender, Enter } from '../contender.ts';
import { pgBasebackup } from '../pg-basebackup.ts';
import { pgbackrest } from '../pgbackrest.ts';
import { cp, syncedCp } from '../plain-copy.ts';
import { walhold } from '../walhold.ts';
import type { Bench } from './bench.ts';

/** A contender that has a full backup and its restore. */
export type Entrant = Contender & Required<Pick<Contender, 'backup' | 'restore'>>;

// The first is the one that the others are compared with.
const ALL: readonly Enter[] = [walhold, pgbackrest, pgBasebackup, cp, syncedCp];

/** The tools that can back this cluster up, and of those only the ones named, if any are. */
export async function entrants(cluster: Cluster, { options, tell }: Bench): Promise<Entrant[]> {
  const found: Entrant[] = [];
  for (const enter of ALL) {
    const one = await enter(cluster).catch(whyNot);
    if (one === undefined || typeof one === 'string')
      tell(`${enter.name} is left out: ${one ?? 'it is not installed'}`);
    else if (isEntrant(one) && (options.only.length === 0 || options.only.includes(one.name))) found.push(one);
  }
  return found;
}

/** Has them stand among those who took part. */
export function takePart({ tools }: Bench, contenders: readonly Entrant[]): void {
  for (const { name, version, setup } of contenders) tools.set(`${name} ${version}`, { name, version, setup });
}

/** pgBackRest knows no servers that are newer than itself. */
function whyNot(error: Error): string {
  return /ERROR.*/.exec(error.message)?.[0] ?? error.message;
}

function isEntrant(one: Contender): one is Entrant {
  return one.backup !== undefined && one.restore !== undefined;
}
