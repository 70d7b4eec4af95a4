import { join } from 'node:path';
import { SERVICE_DIRECTORY } from '../spool/service.ts';
import { openSpool } from '../spool/spool.ts';
import { readWorkerState, type RoleState } from '../spool/worker-state.ts';
import { isClusterTaken } from '../worker/mutex.ts';
import type { CommandContext } from './command-context.ts';

/** The background worker, in `walhold status --json`. */
export interface WorkerJson {
  running: boolean;
  pid: number | null;
  since: string | null;
  push: RoleJson | null;
  fetch: RoleJson | null;
}

export interface RoleJson {
  state: string;
  /** Files under way. */
  inFlight: number;
  done: number;
  lastError: { at: string; file: string; message: string } | null;
}

export const NO_WORKER: WorkerJson = { running: false, pid: null, since: null, push: null, fetch: null };

/** What the worker of a data directory last said of itself, if it lives. */
export async function workerJson(
  dataDirectory: string,
  { log, clock, isAlive }: Pick<CommandContext, 'log' | 'clock' | 'isAlive'>,
): Promise<WorkerJson> {
  const said = await readWorkerState(await openSpool(join(dataDirectory, SERVICE_DIRECTORY), log, clock.now()));
  if (said === undefined || !isAlive(said.pid) || !(await isClusterTaken(dataDirectory))) return NO_WORKER;
  const role = (name: RoleState['role']): RoleJson | null => {
    const found = said.roles.find((one) => one.role === name);
    if (found === undefined) return null;
    const { state, inFlight, done, lastError } = found;
    const error = lastError === null ? null : { ...lastError, at: new Date(lastError.at).toISOString() };
    return { state, inFlight, done, lastError: error };
  };
  return {
    running: true,
    pid: said.pid,
    since: new Date(said.since).toISOString(),
    push: role('push'),
    fetch: role('fetch'),
  };
}
