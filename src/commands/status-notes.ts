import { placeText, type Repository } from '../repository/repository.ts';
import { readPostmaster } from '../server/data-directory.ts';
import { readOutageSpent } from '../spool/fetch-outage.ts';
import { readError, type LastError } from '../spool/last-error.ts';
import { readPushOutage } from '../spool/push-outage.ts';
import { openSpool } from '../spool/spool.ts';
import { backupInProgressJson } from './backup-in-progress.ts';
import type { CommandContext } from './command-context.ts';
import { spoolPathOf } from './local-cluster.ts';
import type { ErrorJson, StatusJson } from './status-json.ts';

/** What the commands of this data directory's server have left in their spool. */
export async function readNotes(
  context: Pick<CommandContext, 'config' | 'log' | 'clock' | 'isAlive'>,
  repositories: readonly Repository[],
  dataDirectory: string | undefined,
): Promise<Pick<StatusJson, 'lastErrors' | 'outages' | 'backupInProgress'>> {
  const { config, log, clock } = context;
  if (dataDirectory === undefined) {
    const outages = { pushRepositories: [], fetchWaitedSeconds: null };
    return { lastErrors: { push: null, fetch: null }, outages, backupInProgress: null };
  }
  const spool = await openSpool(spoolPathOf(dataDirectory, config), log, clock.now());
  const down: number[] = [];
  for (const { number, settings } of repositories) {
    const outage = await readPushOutage(spool, placeText(settings), clock.now());
    if (outage !== undefined) down.push(number);
  }
  const run = (await readPostmaster(dataDirectory))?.run;
  const waitedMs = run === undefined ? 0 : await readOutageSpent(spool, run);
  return {
    lastErrors: { push: errorJson(await readError(spool, 'push')), fetch: errorJson(await readError(spool, 'fetch')) },
    backupInProgress: await backupInProgressJson(spool, context),
    outages: { pushRepositories: down, fetchWaitedSeconds: waitedMs === 0 ? null : Math.round(waitedMs / 1000) },
  };
}

function errorJson(error: LastError | undefined): ErrorJson | null {
  if (error === undefined) return null;
  return { ...error, at: new Date(error.at).toISOString(), detail: error.detail ?? null };
}
