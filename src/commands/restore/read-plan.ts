import type { Log } from '../../base/log.ts';
import { WalholdError } from '../../base/errors.ts';
import { parseIso } from '../../postgres/timestamp.ts';
import { segmentName, segnoOfLsn } from '../../postgres/wal-name.ts';
import { chainError, chainOf, linksOf } from '../../repository/backup-chain.ts';
import type { StoredBackup } from '../../repository/backups.ts';
import { pointOf, readOverview, type Overview } from '../../repository/overview.ts';
import { readWalInventory, type ReadInventory } from '../../repository/read-wal-inventory.ts';
import { missingAlong } from '../../repository/recovery-path.ts';
import { planRestore, type NoPlan, type RestorePlan } from '../../repository/restore-plan.ts';
import type { Repository } from '../../repository/repository.ts';
import type { SealUse } from '../../repository/sealed-wal.ts';
import type { SegmentRun } from '../../repository/segment-runs.ts';
import { storedSegmentTimes } from '../../repository/segment-times.ts';
import { warnOfFailures, warnOfUnread } from '../repository-failures.ts';
import type { RestorableBackup } from './plan-report.ts';
import type { RestoreOptions } from './restore-options.ts';

export interface ReadPlan {
  overview: Overview;
  inventory: ReadInventory;
  plan: RestorePlan<RestorableBackup> | NoPlan;
}

export interface PlanContext {
  signal: AbortSignal;
  jobs: number;
  log: Log;
  /** See `repository/read-wal-inventory.ts`. */
  seals: SealUse | undefined;
}

/** Lists what is stored, and plans. Throws `not-found` where there is no backup at all, or not the one that was named. */
export async function readPlan(
  repositories: readonly Repository[],
  options: RestoreOptions,
  context: PlanContext,
): Promise<ReadPlan> {
  const { signal, jobs, log, seals } = context;
  const overview = await readOverview(repositories, { signal, jobs, walFrom: lowestStart, seals });
  warnOfFailures(log, overview);
  requireNamed(options.backup, overview);
  const { inventory } = overview;
  if (inventory === undefined || overview.backups.length === 0) {
    const what = overview.damaged.length > 0 ? 'no backup that is stored can be trusted' : 'no backup is stored';
    throw new WalholdError('not-found', what, { hint: 'Take one with "walhold backup"; see "walhold list".' });
  }
  return await planWith(overview, inventory, options, context);
}

/**
 * No plan rests on a seal: the WAL that it leads through is listed, and then it is planned again. What a seal hides can make the way longer
 * each time, so after a few rounds everything is listed.
 */
async function planWith(
  overview: Overview,
  first: ReadInventory,
  options: RestoreOptions,
  { signal, log, seals }: PlanContext,
): Promise<ReadPlan> {
  const { backups, systemId, repositories } = overview;
  const from = lowestStart(backups);
  const restorable = backups.map(restorableOf(overview));
  let inventory = first;
  let listed: SegmentRun | undefined;
  for (let round = 0; ; round += 1) {
    const times = storedSegmentTimes(repositories, inventory, { signal, systemId });
    const plan = await planRestore(options, restorable, { inventory, times });
    const needed = plan.reachable ? { first: plan.walFrom.segno, last: plan.walTo.segno + 1n } : undefined;
    if (!inventory.isSealed || needed === undefined || (listed !== undefined && covers(listed, needed))) {
      return { overview: { ...overview, inventory }, inventory, plan };
    }
    listed = listed === undefined ? needed : spanOf(listed, needed);
    const { segmentBytes } = inventory;
    const again = round < MOST_ROUNDS && seals !== undefined ? { ...seals, listed } : undefined;
    const range = from === undefined ? {} : { from };
    inventory = await readWalInventory(repositories, { signal, segmentBytes, systemId, seals: again, ...range });
    warnOfUnread(log, inventory.failures);
    if (plan.reachable) warnOfLie(log, plan, inventory);
  }
}

const MOST_ROUNDS = 3;

/** Says what of the first plan's WAL is not there, now that it was listed. */
function warnOfLie(log: Log, { legs, walTo, partial }: RestorePlan<RestorableBackup>, inventory: ReadInventory): void {
  const last = partial === undefined ? walTo.segno : walTo.segno - 1n;
  const [missing] = missingAlong(legs, last, inventory);
  if (missing === undefined) return;
  const name = segmentName(missing.timeline, missing.first, inventory.segmentBytes);
  log.warning(`segment ${name} is not stored, though a seal says that it is`, {
    detail: 'the seal was not believed, and the WAL was listed instead',
    hint: 'Somebody has forged it, or removed WAL: see "walhold verify".',
  });
}

function covers(listed: SegmentRun, needed: SegmentRun): boolean {
  return listed.first <= needed.first && needed.last <= listed.last;
}

function spanOf(a: SegmentRun, b: SegmentRun): SegmentRun {
  return { first: a.first < b.first ? a.first : b.first, last: a.last > b.last ? a.last : b.last };
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
