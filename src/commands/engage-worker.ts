import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { reasonOf } from '../base/errors.ts';
import { settingVariables } from '../config/setting-name.ts';
import { readPostmasterLines } from '../server/data-directory.ts';
import { keyVariables, servedName } from '../spool/call-key.ts';
import { isUnserved, readRequest, writeRequest } from '../spool/requests.ts';
import { saidLately } from '../spool/said-lately.ts';
import { SERVICE_DIRECTORY, type Role } from '../spool/service.ts';
import { openSpool, type Spool } from '../spool/spool.ts';
import type { HookContext } from './hook-context.ts';
import type { LocalCluster } from './local-cluster.ts';
import { keyOf, wantsWorker } from './served-settings.ts';

/**
 * Has a worker do such calls' work from now on: one that lives is told, else one is started. For calls of a server that runs, which asks
 * as servers do. Neither waits for it nor ever fails.
 */
export async function engageWorker(role: Role, local: LocalCluster, context: HookContext): Promise<void> {
  try {
    await engage(role, local, context);
  } catch (error) {
    const detail = reasonOf(error);
    if (await saidLately(`${local.dataDirectory}: ${detail}`, context.clock.now())) return;
    context.log.warning('could not start the background worker', {
      detail,
      hint: 'walhold works without, only slower.',
    });
  }
}

async function engage(role: Role, local: LocalCluster, context: HookContext): Promise<void> {
  const { config, argv, environment, clock, workingDirectory } = context;
  const { dataDirectory } = local;
  if (!wantsWorker(role, config)) return;
  if (dataDirectory === undefined || local.spool.path === undefined) return;
  if (servedName(`walhold-${role}`, argv) === undefined) return;
  const run = await readPostmasterLines(dataDirectory);
  if (run === undefined || !context.callers().includes(Number(run[0]))) return;
  if (keyOf(role, context, run) === undefined) return;
  if ((await realpath(workingDirectory)) !== (await realpath(dataDirectory))) return;
  const spool = await serviceSpool(dataDirectory, local.spool, context);
  if (await isUnserved(spool, run, clock.now())) return;
  const at = clock.now();
  await writeRequest(spool, { role, argv, environment, at, run }, keyVariables(settingVariables()));
  if ((await readRequest(spool, role, run))?.at !== at) return;
  const { isClusterTaken } = await import('../worker/mutex.ts');
  if (!(await isClusterTaken(dataDirectory))) await context.startWorker(dataDirectory);
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
