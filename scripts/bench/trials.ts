import type { Cluster } from '../../test/support/cluster.ts';
import { archiveBy, NO_ARCHIVING } from './archive-by.ts';
import type { Contender } from './contender.ts';
import { measure, type Measurement, type Trial } from './measure.ts';
import { settle } from './settle.ts';

const SAMPLE_MS = 100;
const REMOVAL_MS = 600_000;

/** A backup of the running cluster, which archives by the contender's own command meanwhile. */
export async function timedBackup(cluster: Cluster, contender: Contender, trial: Trial): Promise<Measurement> {
  await archiveBy(cluster, contender.archiveCommand ?? NO_ARCHIVING);
  settle();
  const measured = await measure(cluster.user, trial, SAMPLE_MS);
  await archiveBy(cluster, NO_ARCHIVING);
  return measured;
}

/**
 * A restore into a folder that goes again.
 *
 * @param look at what was restored, outside of the time.
 */
export async function timedRestore(
  cluster: Cluster,
  into: (target: string) => Trial,
  look: (target: string) => Promise<void>,
): Promise<Measurement> {
  const target = await cluster.place.folder('restored');
  try {
    settle();
    const measured = await measure(cluster.user, into(target), SAMPLE_MS);
    await look(target);
    return measured;
  } finally {
    await cluster.runOk(['rm', '-r', target], { timeoutMs: REMOVAL_MS });
  }
}
