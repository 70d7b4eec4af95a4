import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { reasonOf } from '../base/errors.ts';
import { settingVariables } from '../config/setting-name.ts';
import { readPostmasterLines } from '../server/data-directory.ts';
import { keyVariables, servedName } from '../spool/call-key.ts';
import { isUnserved, readRequest, writeRequest } from '../spool/requests.ts';
import { saidLately } from '../spool/said-lately.ts';
import { readService, SERVICE_DIRECTORY, type Role } from '../spool/service.ts';
import { openSpool, type Spool } from '../spool/spool.ts';
import type { HookContext } from './hook-context.ts';
import type { LocalCluster } from './local-cluster.ts';
import { keyOf, wantsWorker } from './served-settings.ts';

/**
 * Has a worker do such calls' work from now on: one that lives is told, else one is started. For calls of a server that runs, which asks
 * as servers do. Neither waits for it nor ever fails. Returns what a worker was started for, if one was.
 */
export async function engageWorker(
  role: Role,
  local: LocalCluster,
  context: HookContext,
): Promise<StartedWorker | undefined> {
  try {
    return await engage(role, local, context);
  } catch (error) {
    const detail = reasonOf(error);
    if (await saidLately(`${local.dataDirectory}: ${detail}`, context.clock.now())) return undefined;
    context.log.warning('could not start the background worker', {
      detail,
      hint: 'walhold works without, only slower.',
    });
    return undefined;
  }
}

export interface StartedWorker {
  role: Role;
  /** Where it will say that it serves. */
  directory: string;
  /** The answers of the one before, whose note may still lie there. */
  before: string | undefined;
}

/** Half a second, whatever the clock does meanwhile. */
const MOST_LOOKS = 50;
const LOOK_EVERY_MS = 10;

/** Returns when the worker serves, or does not soon: the next call would do by itself what that worker has begun already. */
export async function untilServed(worker: StartedWorker | undefined, { clock, signal }: HookContext): Promise<void> {
  if (worker === undefined) return;
  const { directory, role, before } = worker;
  for (let look = 0; look < MOST_LOOKS && !signal.aborted; look += 1) {
    const answers = (await readService(directory, role))?.answers;
    if (answers !== undefined && answers !== before) return;
    await clock.sleep(LOOK_EVERY_MS, signal).catch(() => undefined);
  }
}

async function engage(role: Role, local: LocalCluster, context: HookContext): Promise<StartedWorker | undefined> {
  const { config, argv, environment, clock, workingDirectory } = context;
  const { dataDirectory } = local;
  if (!wantsWorker(role, config)) return undefined;
  if (dataDirectory === undefined || local.spool.path === undefined) return undefined;
  if (servedName(`walhold-${role}`, argv) === undefined) return undefined;
  const run = await readPostmasterLines(dataDirectory);
  if (run === undefined || !context.callers().includes(Number(run[0]))) return undefined;
  if (keyOf(role, context, run) === undefined) return undefined;
  if ((await realpath(workingDirectory)) !== (await realpath(dataDirectory))) return undefined;
  const spool = await serviceSpool(dataDirectory, local.spool, context);
  if (await isUnserved(spool, run, clock.now())) return undefined;
  const at = clock.now();
  await writeRequest(spool, { role, argv, environment, at, run }, keyVariables(settingVariables()));
  if ((await readRequest(spool, role, run))?.at !== at) return undefined;
  const { isClusterTaken } = await import('../worker/mutex.ts');
  if (await isClusterTaken(dataDirectory)) return undefined;
  const directory = join(dataDirectory, SERVICE_DIRECTORY);
  const before = (await readService(directory, role))?.answers;
  await context.startWorker(dataDirectory);
  return { role, directory, before };
}

/** The launcher looks in one place, wherever the spool is. */
async function serviceSpool(
  dataDirectory: string,
  spool: Spool,
  { log, clock }: Pick<HookContext, 'log' | 'clock'>,
): Promise<Spool> {
  const path = join(dataDirectory, SERVICE_DIRECTORY);
  return spool.path === path ? spool : await openSpool(path, log, clock.now(), saidLately);
}
