import { isAbsolute, join } from 'node:path';
import { segmentName } from '../postgres/wal-name.ts';
import { wholeBackups } from '../repository/backup-chain.ts';
import { safeWal } from '../repository/lag.ts';
import { backupLocks, nextLockExpiry, readKnownLocks } from '../repository/lock/known-locks.ts';
import { pointOf, readOverview, type Overview } from '../repository/overview.ts';
import { placeText, type Repository } from '../repository/repository.ts';
import { tracesOf } from '../repository/traces.ts';
import { problemOf } from '../repository/verify-problem.ts';
import { historyOf, walOf } from '../repository/wal-inventory.ts';
import { readPostmaster } from '../server/data-directory.ts';
import { readOutageSpent } from '../spool/fetch-outage.ts';
import { readError, type LastError } from '../spool/last-error.ts';
import { readPushOutage } from '../spool/push-outage.ts';
import { openSpool } from '../spool/spool.ts';
import { backupInProgressJson } from './backup-in-progress.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';
import { drillsJson, NO_DRILLS } from './drills-json.ts';
import { backupJson, gapsJson, windowsJson } from './list.ts';
import { readLocalLag, type LocalLag } from './local-lag.ts';
import type { ServerOptions } from './local-server.ts';
import { warnOfFailures } from './repository-failures.ts';
import { sealUse } from './seal-use.ts';
import type { ErrorJson, StatusJson } from './status-json.ts';
import { metricsOf } from './status-metrics.ts';
import { describeStatus } from './status-text.ts';
import { withRepositories } from './with-repositories.ts';
import { NO_WORKER, workerJson } from './worker-status.ts';

export interface StatusOptions extends ServerOptions {
  format: 'text' | 'json' | 'prometheus';
}

const FORMATS = {
  text: describeStatus,
  json: (status: StatusJson) => `${JSON.stringify(status, undefined, 2)}\n`,
  prometheus: metricsOf,
} as const;

/** Tells what can be told: a store that does not answer, or a server, leaves its part unknown and makes a fault. */
export async function status(context: CommandContext, options: StatusOptions): Promise<CommandOutcome> {
  const local = await readLocalLag(context, options);
  const work = async (repositories: readonly Repository[]): Promise<CommandOutcome> => {
    const overview = await overviewOf(context, repositories, local);
    const result = await statusOf(context, repositories, overview, local);
    context.print(FORMATS[options.format](result));
    if (overview === undefined) return 'fault';
    warnOfFailures(context.log, overview);
    return overview.failures.length + overview.damaged.length === 0 ? 'done' : 'fault';
  };
  return await withRepositories(context, work, 'reported');
}

/** `undefined`: no repository could be read; it was said why. */
export async function overviewOf(
  context: CommandContext,
  repositories: readonly Repository[],
  local: LocalLag | undefined,
): Promise<Overview | undefined> {
  const { signal, config, log } = context;
  try {
    const seals = sealUse(context);
    return await readOverview(repositories, { signal, jobs: config.jobs, systemId: local?.systemId, seals });
  } catch (error) {
    log.error(`no repository could be read: ${problemOf(error, '').message}`);
    return undefined;
  }
}

export async function statusOf(
  context: CommandContext,
  repositories: readonly Repository[],
  overview: Overview | undefined,
  local: LocalLag | undefined,
): Promise<StatusJson> {
  const now = context.clock.now();
  return {
    ...rpoOf(overview, local, now),
    readyFiles: local?.ready.count ?? null,
    oldestReadySeconds: local?.ready.oldestAt === undefined ? null : secondsSince(local.ready.oldestAt, now),
    lastStored: overview === undefined ? null : lastStoredOf(overview),
    ...(await locksOf(overview, context)),
    windows: overview === undefined ? [] : await windowsJson(overview, context),
    gaps: overview === undefined ? [] : await gapsJson(overview, context),
    ...(overview === undefined ? NO_DRILLS : await drillsJson(overview, context)),
    worker: local?.dataDirectory === undefined ? NO_WORKER : await workerJson(local.dataDirectory, context),
    ...(await notesOf(context, repositories, local)),
    tampering: repositories.flatMap(tracesOf).map((trace) => ({ ...trace, at: trace.at.toISOString() })),
  };
}

/** What is known of locks costs two requests for each repository that locks, and a look at its identity. */
async function locksOf(
  overview: Overview | undefined,
  context: CommandContext,
): Promise<Pick<StatusJson, 'lastBackup' | 'nextLockExpiry'>> {
  if (overview === undefined) return { lastBackup: null, nextLockExpiry: null };
  const known = await readKnownLocks(overview, context);
  const newest = wholeBackups(overview).at(-1)?.summary;
  const lockedUntil = backupLocks(overview, known);
  const next = await nextLockExpiry(overview, known, context);
  return {
    lastBackup: newest === undefined ? null : backupJson(newest, lockedUntil(newest.id)),
    nextLockExpiry: next?.toISOString() ?? null,
  };
}

/** Bytes that only this machine has, and the age of the oldest of them. */
function rpoOf(
  overview: Overview | undefined,
  local: LocalLag | undefined,
  now: number,
): Pick<StatusJson, 'rpoSeconds' | 'rpoBytes'> {
  if (overview === undefined || local === undefined) return { rpoSeconds: null, rpoBytes: null };
  const { inventory } = overview;
  const history =
    local.history ?? (inventory === undefined ? undefined : historyOf(inventory, local.position.timeline));
  const points = wholeBackups(overview).map(({ summary }) => pointOf(summary));
  const safe = inventory === undefined || history === undefined ? undefined : safeWal(points, history, inventory);
  const [oldest] = local.own?.segments ?? [];
  if (safe === undefined || inventory === undefined) {
    const begin = oldest === undefined ? 0n : oldest.segno * BigInt(local.position.segmentBytes);
    const rpoSeconds = oldest === undefined ? null : secondsSince(oldest.local.modifiedAt, now);
    return { rpoSeconds, rpoBytes: Number(local.end - begin) };
  }
  if (local.end <= safe.end) return { rpoSeconds: 0, rpoBytes: 0 };
  const { last } = safe;
  // The last write to the last safe segment comes right before the oldest byte that is not.
  const here = local.own?.segments.find(({ segno }) => segno === last?.segno)?.local.modifiedAt;
  const there = last === undefined ? undefined : walOf(inventory, last.timeline).segments.get(last.segno)?.storedAt;
  const since = here ?? there ?? oldest?.local.modifiedAt;
  return { rpoSeconds: since === undefined ? null : secondsSince(since, now), rpoBytes: Number(local.end - safe.end) };
}

function lastStoredOf({ inventory }: Overview): StatusJson['lastStored'] {
  if (inventory === undefined) return null;
  let last: { name: string; at: number } | undefined;
  for (const [timeline, { segments }] of inventory.timelines) {
    const segno = segments.runs.at(-1)?.last;
    const at = segno === undefined ? undefined : segments.get(segno)?.storedAt?.getTime();
    if (segno === undefined || at === undefined || (last !== undefined && at < last.at)) continue;
    last = { name: segmentName(timeline, segno, inventory.segmentBytes), at };
  }
  return last === undefined ? null : { name: last.name, at: new Date(last.at).toISOString() };
}

async function notesOf(
  context: CommandContext,
  repositories: readonly Repository[],
  local: LocalLag | undefined,
): Promise<Pick<StatusJson, 'lastErrors' | 'outages' | 'backupInProgress'>> {
  const { dataDirectory } = local ?? {};
  if (dataDirectory === undefined) {
    const outages = { pushRepositories: [], fetchWaitedSeconds: null };
    return { lastErrors: { push: null, fetch: null }, outages, backupInProgress: null };
  }
  const { spoolPath } = context.config;
  const path = isAbsolute(spoolPath) ? spoolPath : join(dataDirectory, spoolPath);
  const spool = await openSpool(path, context.log, context.clock.now());
  const down: number[] = [];
  for (const { number, settings } of repositories) {
    const outage = await readPushOutage(spool, placeText(settings), context.clock.now());
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

function secondsSince(at: Date, now: number): number {
  return Math.max(0, Math.round((now - at.getTime()) / 1000));
}
