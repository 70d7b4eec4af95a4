import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { DrillJson } from '../../src/commands/drill/drill-report.ts';
import type { Archived } from './archived-cluster.ts';
import { built } from './hook.ts';
import { run } from './run.ts';

export interface Drilled {
  json: DrillJson;
  status: number | null;
  stderr: string;
  /** What is left where the scratch directory was made. */
  left: string[];
  /** When it was begun and when it had ended, ms since 1970. */
  begun: number;
  ended: number;
}

/** The folder in which drills make their scratch directories, and nothing else lies. */
export async function scratchParent({ cluster }: Archived): Promise<string> {
  const parent = join(cluster.place.path, 'scratch');
  await cluster.runOk(['mkdir', '-p', '-m', '0700', parent]);
  return parent;
}

/** The command line of a drill, with the programs of the cluster's own version. */
export async function drillCommand(archived: Archived, flags: readonly string[]): Promise<string[]> {
  const { cluster, config } = archived;
  const where = ['--scratch-dir', await scratchParent(archived), '--pg-bin', cluster.postgres.bin];
  return [await built('walhold'), '--config', config, 'drill', '--json', ...where, ...flags];
}

/**
 * A drill by the server's own user, or by the current one (root, where tests run as root).
 *
 * @throws with what it said when it comes to no result.
 */
export async function drill(
  archived: Archived,
  flags: readonly string[] = [],
  by: 'server user' | 'current user' = 'server user',
): Promise<Drilled> {
  const { cluster } = archived;
  const argv = await drillCommand(archived, flags);
  const begun = Date.now();
  const options = { timeoutMs: 180_000 };
  const { status, stdout, stderr } =
    by === 'server user' ? await cluster.run(argv, options) : await run(argv, { ...options, env: cluster.env });
  if (stdout === '') throw new Error(`it ended with ${status}\n${stderr}`);
  const left = await readdir(await scratchParent(archived));
  return { json: JSON.parse(stdout) as DrillJson, status, stderr, left, begun, ended: Date.now() };
}

/** One check of a result by its name. */
export function checkNamed({ json }: Pick<Drilled, 'json'>, name: string): DrillJson['checks'][number] | undefined {
  return json.checks.find((check) => check.name === name);
}
