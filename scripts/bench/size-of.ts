import type { Cluster } from '../../test/support/cluster.ts';

const LIMIT_MS = 300_000;

/** Bytes that `du` finds in these folders; its options may stand before them. */
export async function sizeOf(cluster: Cluster, args: readonly string[]): Promise<number> {
  const { stdout } = await cluster.runOk(['du', '-s', '-B1', ...args], { timeoutMs: LIMIT_MS });
  return stdout.split('\n').reduce((sum, line) => sum + Number(line.split('\t')[0] ?? 0), 0);
}
