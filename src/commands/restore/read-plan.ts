import type { Log } from '../../base/log.ts';
import { WalholdError } from '../../base/errors.ts';
import { parseIso } from '../../postgres/timestamp.ts';
import { segnoOfLsn } from '../../postgres/wal-name.ts';
import { chainError, chainOf, linksOf } from '../../repository/backup-chain.ts';
import type { StoredBackup } from '../../repository/backups.ts';
import { pointOf, readOverview, type Overview } from '../../repository/overview.ts';
import type { ReadInventory } from '../../repository/read-wal-inventory.ts';
import { planRestore, type NoPlan, type RestorePlan } from '../../repository/restore-plan.ts';
import type { Repository } from '../../repository/repository.ts';
import { storedSegmentTimes } from '../../repository/segment-times.ts';
import { warnOfFailures } from '../repository-failures.ts';
import type { RestorableBackup } from './plan-report.ts';
import type { RestoreOptions } from './restore-options.ts';

export interface ReadPlan {
  overview: Overview;
  inventory: ReadInventory;
  plan: RestorePlan<RestorableBackup> | NoPlan;
}

/** Lists what is stored, and plans. Throws `not-found` where there is no backup at all, or not the one that was named. */
export async function readPlan(
  repositories: readonly Repository[],
  options: RestoreOptions,
  context: { signal: AbortSignal; jobs: number; log: Log },
): Promise<ReadPlan> {
  const { signal, jobs, log } = context;
  const overview = await readOverview(repositories, { signal, jobs, walFrom: lowestStart });
  warnOfFailures(log, overview);
  const { backups, inventory, systemId } = overview;
  requireNamed(options.backup, overview);
  if (inventory === undefined || backups.length === 0) {
    const what = overview.damaged.length > 0 ? 'no backup that is stored can be trusted' : 'no backup is stored';
    throw new WalholdError('not-found', what, { hint: 'Take one with "walhold backup"; see "walhold list".' });
  }
  const times = storedSegmentTimes(overview.repositories, inventory, { signal, systemId });
  const plan = await planRestore(options, backups.map(restorableOf(overview)), { inventory, times });
  return { overview, inventory, plan };
}

/** WAL before the oldest backup's start leads nowhere. */
function lowestStart(backups: readonly StoredBackup[]): bigint | undefined {
  const starts = backups.map(({ summary }) => segnoOfLsn(summary.startLsn, summary.server.segmentBytes));
  return starts.reduce<bigint | undefined>((low, one) => (low === undefined || one < low ? one : low), undefined);
}

function restorableOf(overview: Overview): (backup: StoredBackup) => RestorableBackup {
  const find = linksOf(overview);
  const byId = new Map(overview.backups.map((backup) => [backup.summary.id, backup]));
  return ({ summary, repositories }) => {
    const stoppedMicros = parseIso(summary.stoppedAt);
    if (stoppedMicros === undefined) throw new RangeError(`${summary.stoppedAt} is not a time`);
    const found = chainOf(summary, find);
    const links = found.whole ? found.links : [];
    const chain = links.map(({ id }) => byId.get(id)).filter((link) => link !== undefined);
    const broken = found.whole ? undefined : found.why;
    return { ...pointOf(summary), stoppedMicros, summary, repositories, chain, broken };
  };
}

/** Throws `not-found` or `damaged` where the backup that was named, or a link of its chain, is not there or cannot be trusted. */
function requireNamed(backup: string, overview: Overview): void {
  const { backups, damaged, unfinished } = overview;
  if (backup === 'any' || backup === 'latest') return;
  const named = backups.find(({ summary }) => summary.id === backup);
  if (named !== undefined) {
    const chain = chainOf(named.summary, linksOf(overview));
    if (chain.whole) return;
    throw chainError(named.summary.id, chain);
  }
  const broken = damaged.find(({ id }) => id === backup);
  if (broken !== undefined) throw broken.error;
  const detail = unfinished.some((id) => id === backup) ? 'it is an upload that did not end' : undefined;
  throw new WalholdError('not-found', `there is no backup ${backup}`, {
    hint: 'See "walhold list".',
    ...(detail === undefined ? {} : { detail }),
  });
}
