import { segmentName } from '../postgres/wal-name.ts';
import { wholeBackups } from '../repository/backup-chain.ts';
import { backupLocks, nextLockExpiry, readKnownLocks } from '../repository/lock/known-locks.ts';
import { readOverview, type Overview } from '../repository/overview.ts';
import type { Repository } from '../repository/repository.ts';
import { tracesOf } from '../repository/traces.ts';
import { problemOf } from '../repository/verify-problem.ts';
import { walOf } from '../repository/wal-inventory.ts';
import type { CommandContext } from './command-context.ts';
import { drillsJson, NO_DRILLS } from './drills-json.ts';
import { backupJson, gapsJson, windowsJson } from './list.ts';
import type { LocalLag, LocalView } from './local-lag.ts';
import { sealUse } from './seal-use.ts';
import type { RepositoryJson, StatusJson } from './status-json.ts';
import { readNotes } from './status-notes.ts';
import { rpoOf } from './status-rpo.ts';
import { NO_WORKER, workerJson } from './worker-status.ts';

/** What `walhold status` has found out. */
export interface StatusFindings {
  status: StatusJson;
  /** `undefined`: no repository could be read. */
  overview: Overview | undefined;
  /** A data directory was there to be looked into. */
  hasNotes: boolean;
  /** Something that was asked did not answer, or cannot be trusted. */
  fault: boolean;
}

/** A store or a server that does not answer leaves its part unknown; that no repository could be read is said here. */
export async function gatherStatus(
  context: CommandContext,
  repositories: readonly Repository[],
  { lag, serverFailed }: LocalView,
): Promise<StatusFindings> {
  const { overview, error } = await overviewOf(context, repositories, lag);
  const status: StatusJson = {
    at: new Date(context.clock.now()).toISOString(),
    ...(await rpoOf(overview, lag, context)),
    ...waitingOf(lag, context.clock.now()),
    lastStored: overview === undefined ? null : lastStoredOf(overview),
    ...(await locksOf(overview, context)),
    windows: overview === undefined ? [] : await windowsJson(overview, context),
    gaps: overview === undefined ? [] : await gapsJson(overview, context),
    ...(overview === undefined ? NO_DRILLS : await drillsJson(overview, context)),
    worker: lag?.dataDirectory === undefined ? NO_WORKER : await workerJson(lag.dataDirectory, context),
    ...(await readNotes(context, repositories, lag?.dataDirectory)),
    repositories: repositories.map((one) => repositoryJson(one, overview, error)),
    tampering: repositories.flatMap(tracesOf).map((trace) => ({ ...trace, at: trace.at.toISOString() })),
  };
  const trouble = overview === undefined ? 1 : overview.failures.length + overview.damaged.length;
  return { status, overview, hasNotes: lag?.dataDirectory !== undefined, fault: serverFailed || trouble > 0 };
}

async function overviewOf(
  context: CommandContext,
  repositories: readonly Repository[],
  lag: LocalLag | undefined,
): Promise<{ overview: Overview | undefined; error: unknown }> {
  const { signal, config, log } = context;
  try {
    const seals = sealUse(context);
    const overview = await readOverview(repositories, { signal, jobs: config.jobs, systemId: lag?.systemId, seals });
    return { overview, error: undefined };
  } catch (error) {
    log.error(`no repository could be read: ${problemOf(error, '').message}`);
    return { overview: undefined, error };
  }
}

function waitingOf(lag: LocalLag | undefined, now: number): Pick<StatusJson, 'readyFiles' | 'oldestReadySeconds'> {
  if (lag === undefined) return { readyFiles: null, oldestReadySeconds: null };
  const { count, oldestAt } = lag.ready;
  // Where nothing waits there is no lag, and that is known.
  const unknown = count === 0 ? 0 : null;
  const seconds = oldestAt === undefined ? unknown : Math.max(0, Math.round((now - oldestAt.getTime()) / 1000));
  return { readyFiles: count, oldestReadySeconds: seconds };
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

function lastStoredOf({ inventory }: Overview): StatusJson['lastStored'] {
  if (inventory === undefined) return null;
  let last: { name: string; at: number } | undefined;
  for (const timeline of inventory.timelines.keys()) {
    const { segments } = walOf(inventory, timeline);
    const segno = segments.runs.at(-1)?.last;
    const at = segno === undefined ? undefined : segments.get(segno)?.storedAt?.getTime();
    if (segno === undefined || at === undefined || (last !== undefined && at < last.at)) continue;
    last = { name: segmentName(timeline, segno, inventory.segmentBytes), at };
  }
  return last === undefined ? null : { name: last.name, at: new Date(last.at).toISOString() };
}

function repositoryJson({ number, url }: Repository, overview: Overview | undefined, why: unknown): RepositoryJson {
  const own = overview?.failures.find(({ repository }) => repository.number === number)?.error;
  const error = overview === undefined ? why : own;
  return { repository: number, url, ok: error === undefined, error: error === undefined ? null : textOf(error) };
}

function textOf(error: unknown): string {
  return problemOf(error, '').message;
}
