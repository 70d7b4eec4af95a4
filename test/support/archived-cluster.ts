import { Cluster, type ClusterOptions } from './cluster.ts';
import { archiveInto, built, writeConfig, type HookOptions } from './hook.ts';
import type { InitOptions } from './initdb.ts';
import type { RunOptions, RunResult } from './run.ts';
import type { Settings } from './server-settings.ts';

export interface ArchivedOptions extends ClusterOptions, InitOptions {
  /** Of walhold's, on top of or instead of a `repo` of files. */
  walhold?: Settings;
  /** Of its hooks, on top of the configuration file. */
  hook?: HookOptions;
}

/** A cluster that archives, and where it archives to. */
export interface Archived extends AsyncDisposable {
  readonly cluster: Cluster;
  /** The folder of the repository of files, in the cluster's place; there is none if `walhold.repo` named another place. */
  readonly repository: string;
  /** Walhold's configuration file. */
  readonly config: string;
}

/** A new cluster that will archive into a repository of files as soon as it is started; segments of 1 MB unless told. */
export async function archivedCluster({
  walhold = {},
  hook = {},
  ...options
}: ArchivedOptions = {}): Promise<Archived> {
  const cluster = await Cluster.create({ segmentMb: 1, ...options });
  try {
    const repository = await cluster.place.folder('repository');
    const config = await writeConfig(cluster, { repo: `file://${repository}`, jobs: 2, ...walhold });
    await archiveInto(cluster, { config, ...hook });
    return { cluster, repository, config, [Symbol.asyncDispose]: async () => await cluster[Symbol.asyncDispose]() };
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
}

/** Runs the companion as the server's user, whatever its status. */
export async function walhold(
  cluster: Cluster,
  config: string,
  argv: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  return await cluster.run([await built('walhold'), '--config', config, ...argv], { timeoutMs: 120_000, ...options });
}

/** {@link walhold} for what must succeed. */
export async function walholdOk(
  cluster: Cluster,
  config: string,
  argv: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  return await cluster.runOk([await built('walhold'), '--config', config, ...argv], { timeoutMs: 120_000, ...options });
}

/** Takes a base backup of the running cluster and returns its identifier. */
export async function backUp(cluster: Cluster, config: string, flags: readonly string[] = []): Promise<string> {
  const argv = ['backup', '-D', cluster.dataDir, '-d', cluster.connectionString, '-c', 'fast', ...flags];
  return (await walholdOk(cluster, config, argv)).stdout.trim();
}

/**
 * Restores into a fresh cluster, not started, with the environment of `original`, whose place holds the configuration.
 *
 * @throws with what the command said when it fails.
 */
export async function restored(original: Cluster, config: string, flags: readonly string[] = []): Promise<Cluster> {
  const cluster = await emptyCluster(original, 'restored');
  try {
    await walholdOk(cluster, config, ['restore', '-D', cluster.dataDir, ...flags]);
    return cluster;
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
}

/** A place for a cluster of the same version under the same environment, with no data directory yet. */
export async function emptyCluster(original: Cluster, name: string): Promise<Cluster> {
  const cluster = await Cluster.over(undefined, { major: original.postgres.major, name });
  const { WALHOLD_TEST_CLUSTER: _, ...env } = original.env;
  Object.assign(cluster.env, env);
  return cluster;
}
