import { Cluster } from '../../../test/support/cluster.ts';
import type { Contender } from '../contender.ts';
import type { Subject } from './subject.ts';

const LONG_MS = 600_000;

/**
 * Starts a server on what was restored, and has it tell what only the right content tells.
 *
 * @throws when it does not start or tells something else.
 */
export async function prove({ cluster, data }: Subject, contender: Contender, target: string): Promise<void> {
  await contender.complete?.(target);
  await using restored = await Cluster.over(target, { major: data.major, name: 'restored' });
  // The proof needs no power cut to be survived, and a sync of all files would take long.
  await restored.configure({ fsync: false });
  await restored.start({ deadlineMs: LONG_MS });
  const [found, expected] = [await restored.value<string>(data.proof), await cluster.value<string>(data.proof)];
  if (found !== expected) throw new Error(`the restored server says ${found}, not ${expected}`);
}
