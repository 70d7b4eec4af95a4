import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { VERSION } from '../base/version.ts';
import { splitArguments } from '../config/arguments.ts';
import type { Config } from '../config/config.ts';
import { DEFAULT_CONFIG_FILE } from '../config/gather.ts';
import { loadConfig } from '../config/load.ts';
import { settingVariables } from '../config/setting-name.ts';
import { callKey, type Call } from '../spool/call-key.ts';
import { readState } from '../spool/file-state.ts';
import type { ServiceRequest } from '../spool/requests.ts';
import { isUnchanged, type ConfigFile, type Role } from '../spool/service.ts';
import type { ServedSettings, WorkedCluster } from './work-context.ts';

/** The key of such a call under this run of the postmaster. `undefined`: none is ever served. */
export function keyOf(
  role: Role,
  { argv, environment }: Pick<Call, 'argv' | 'environment'>,
  run: Call['run'],
): string | undefined {
  const program = `walhold-${role}` as const;
  return callKey({ program, version: VERSION, run, argv, environment, settingVariables: settingVariables() });
}

/** Whether these settings ask for a worker that does such calls' work. */
export function wantsWorker(role: Role, config: Config): boolean {
  const ahead = role === 'push' ? config.pushAheadBytes : config.fetchAheadBytes;
  return ahead > 0 && config.workerIdleMs > 0;
}

/** The settings of the call that made the request, as it would load them now. `undefined`: they ask for no worker. Throws `config`. */
export async function servedSettings(
  request: ServiceRequest,
  { dataDirectory, run }: WorkedCluster,
): Promise<ServedSettings | undefined> {
  const { argv, environment, role } = request;
  const key = keyOf(role, request, run);
  if (key === undefined) return undefined;
  const split = splitArguments(argv);
  const named = split.configFile ?? (environment['WALHOLD_CONFIG'] || undefined);
  const path = resolve(dataDirectory, named ?? DEFAULT_CONFIG_FILE);
  const configFile: ConfigFile = { path, state: await readState(path) };
  // The server's commands run in the data directory.
  const readFile = (file: string): string => readFileSync(resolve(dataDirectory, file), 'utf8');
  const { config } = loadConfig({ arguments: split, environment, readFile });
  if (!wantsWorker(role, config) || !(await isUnchanged(configFile))) return undefined;
  return { key, config, configFile };
}
