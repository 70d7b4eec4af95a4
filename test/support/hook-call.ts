import { built } from './hook.ts';
import type { PretendCluster } from './pretend-cluster.ts';
import { run, runAs, type RunOptions, type RunResult } from './run.ts';
import { serverUser } from '../../scripts/server-user.ts';

/** Calls a built command as PostgreSQL does: by a shell, from the data directory. `words` are settings, operands and all. */
export async function callHook(
  name: 'walhold-push' | 'walhold-fetch',
  cluster: PretendCluster,
  words: readonly string[],
  options: RunOptions & { asServer?: boolean } = {},
): Promise<RunResult> {
  const { asServer = false, ...rest } = options;
  const argv = ['sh', '-c', '"$0" "$@"', await built(name), ...words];
  const cwd = { cwd: cluster.path, ...rest };
  return asServer ? await runAs(serverUser(), argv, cwd) : await run(argv, cwd);
}
