import { formatLsn, type Lsn } from '../postgres/lsn.ts';
import { formatIso, microsFromMs } from '../postgres/timestamp.ts';
import { segmentName, segnoOfLsn } from '../postgres/wal-name.ts';
import { wholeBackups } from '../repository/backup-chain.ts';
import type { BackupSummary } from '../repository/backups.ts';
import { lastMoment } from '../repository/commit-search.ts';
import { gapsOf, windowsOf, type Gap, type RecoveryWindow } from '../repository/coverage.ts';
import { backupLocks, readKnownLocks } from '../repository/lock/known-locks.ts';
import { pointOf, readOverview, type Overview } from '../repository/overview.ts';
import { pathLegs } from '../repository/recovery-path.ts';
import type { Repository } from '../repository/repository.ts';
import { withoutExpired } from '../repository/retention/expired-gaps.ts';
import { expiredIn } from '../repository/retention/expired-records.ts';
import { storedSegmentTimes, type SegmentTimes } from '../repository/segment-times.ts';
import { historyOf, type WalInventory } from '../repository/wal-inventory.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';
import { drillsJson, type DrillSummaryJson } from './drills-json.ts';
import { describeList } from './list-text.ts';
import { warnOfFailures } from './repository-failures.ts';
import { sealUse } from './seal-use.ts';
import { withRepositories } from './with-repositories.ts';

/** The shape of `walhold list --json`. */
export interface ListJson {
  backups: BackupJson[];
  windows: WindowJson[];
  gaps: GapJson[];
  /** The newest drill, and the newest that found all well. */
  lastDrill: DrillSummaryJson | null;
  lastProven: DrillSummaryJson | null;
}

export interface BackupJson {
  id: string;
  type: 'full' | 'incremental';
  parent: string | null;
  label: string;
  startedAt: string;
  stoppedAt: string;
  startLsn: string;
  stopLsn: string;
  timeline: number;
  pgVersion: string;
  systemId: string;
  sizeBytes: number;
  storedBytes: number;
  lockedUntil: string | null;
  encrypted: boolean;
}

export interface WindowJson {
  timeline: number;
  from: string;
  to: string;
  fromLsn: string;
  toLsn: string;
}

/** Names of the first and the last missing segment. */
export interface GapJson {
  timeline: number;
  first: string;
  last: string;
}

/** Prints the backups, the windows that one can recover to, and what is missing. A repository that does not answer is a fault. */
export async function list(context: CommandContext, options: { json: boolean }): Promise<CommandOutcome> {
  return await withRepositories(context, async (repositories) => {
    const { overview, result } = await readList(context, repositories);
    context.print(options.json ? `${JSON.stringify(result, undefined, 2)}\n` : describeList(result));
    warnOfFailures(context.log, overview);
    return overview.failures.length + overview.damaged.length === 0 ? 'done' : 'fault';
  });
}

/** What is printed, and all that it was made of. */
export async function readList(
  context: Pick<CommandContext, 'signal' | 'config' | 'clock' | 'random' | 'log' | 'asOf'>,
  repositories: readonly Repository[],
): Promise<{ overview: Overview; result: ListJson }> {
  const { signal, config } = context;
  const overview = await readOverview(repositories, { signal, jobs: config.jobs, seals: sealUse(context) });
  const lockedUntil = backupLocks(overview, await readKnownLocks(overview, context));
  const result: ListJson = {
    backups: overview.backups.map(({ summary }) => backupJson(summary, lockedUntil(summary.id))),
    windows: await windowsJson(overview, { signal }),
    gaps: await gapsJson(overview, { signal }),
    ...(await drillsJson(overview, context)),
  };
  return { overview, result };
}

export function backupJson(summary: BackupSummary, lockedUntil: Date | undefined): BackupJson {
  const { id, type, parent, label, startedAt, stoppedAt, startLsn, stopLsn, timeline, server } = summary;
  return {
    id,
    type,
    parent: parent ?? null,
    label,
    startedAt,
    stoppedAt,
    startLsn: formatLsn(startLsn),
    stopLsn: formatLsn(stopLsn),
    timeline,
    pgVersion: server.version,
    systemId: String(server.systemId),
    sizeBytes: summary.sizeBytes,
    storedBytes: summary.storedBytes,
    lockedUntil: lockedUntil?.toISOString() ?? null,
    encrypted: false,
  };
}

/** By timeline, in order of their ends. */
export async function windowsJson(overview: Overview, { signal }: { signal: AbortSignal }): Promise<WindowJson[]> {
  const { inventory, repositories, systemId } = overview;
  if (inventory === undefined) return [];
  const times = storedSegmentTimes(repositories, inventory, { signal, systemId });
  const windows = windowsOf(
    wholeBackups(overview).map(({ summary }) => pointOf(summary)),
    inventory,
  );
  return await Promise.all(windows.map((window) => windowJson(window, inventory, times)));
}

export async function gapsJson(overview: GapEvidence, options: { signal: AbortSignal }): Promise<GapJson[]> {
  const segmentBytes = overview.inventory?.segmentBytes ?? 0;
  return (await gapsLeft(overview, options)).map(({ timeline, first, last }) => ({
    timeline,
    first: segmentName(timeline, first, segmentBytes),
    last: segmentName(timeline, last, segmentBytes),
  }));
}

type GapEvidence = Pick<Overview, 'inventory' | 'repositories' | 'systemId' | 'backups'>;

/** Not what was given up by `expire`. */
export async function gapsLeft(
  { inventory, repositories, systemId, backups }: GapEvidence,
  { signal }: { signal: AbortSignal },
): Promise<Gap[]> {
  if (inventory === undefined) return [];
  const gaps = gapsOf(inventory);
  const expired = await expiredIn(repositories, gaps, { signal, systemId });
  const points = backups.map(({ summary }) => pointOf(summary));
  return withoutExpired(gaps, expired, { backups: points, segmentBytes: inventory.segmentBytes });
}

async function windowJson(
  window: RecoveryWindow<ReturnType<typeof pointOf>>,
  inventory: WalInventory,
  times: SegmentTimes,
): Promise<WindowJson> {
  const { timeline, fromLsn, last } = window;
  const first = segnoOfLsn(fromLsn, inventory.segmentBytes);
  const legs = pathLegs(historyOf(inventory, timeline), first, inventory.segmentBytes);
  const end = await lastMoment({ legs, first, last: last.segno, inventory, times });
  const { endLsn } = await times.segment(last);
  const from = window.backups[0].summary.stoppedAt;
  const to = end === undefined || end.at < microsFromMs(window.from.getTime()) ? from : (formatIso(end.at) ?? from);
  const toLsn: Lsn = endLsn ?? window.toLsn;
  return { timeline, from, to, fromLsn: formatLsn(fromLsn), toLsn: formatLsn(toLsn) };
}
