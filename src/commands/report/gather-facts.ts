/** What a report is made of, by the means of `list` and `status`, and a few dozen small reads. */
import { mapParallel } from '../../base/parallel.ts';
import { WalholdError, reasonOf } from '../../base/errors.ts';
import { readDrills } from '../../repository/drill-records.ts';
import type { DrillRecord } from '../../repository/drill-record.ts';
import { backupLocks, nextLockExpiry, readKnownLocks } from '../../repository/lock/known-locks.ts';
import type { Overview } from '../../repository/overview.ts';
import type { Repository, RepositoryFailure } from '../../repository/repository.ts';
import { storedSegmentTimes } from '../../repository/segment-times.ts';
import { describeTrace, tracesOf } from '../../repository/traces.ts';
import { timelinesOf, type WalInventory } from '../../repository/wal-inventory.ts';
import type { CommandContext } from '../command-context.ts';
import { gapsLeft, windowsJson } from '../list.ts';
import { warnOfUnread } from '../repository-failures.ts';
import { backupFacts } from './backup-facts.ts';
import { gapFacts, laneOf, lastStored } from './lane-facts.ts';
import type { DrillFact, Lane, MonthFact, ReportFacts, RepositoryFact, WalTimes } from './report-facts.ts';
import { timeScale } from './time-scale.ts';
import { pausesOf, storedTimes, type StoredTimes } from './wal-times.ts';

export type FactsContext = Pick<CommandContext, 'signal' | 'clock' | 'log' | 'by' | 'asOf' | 'config'>;

/** About a weekly drill of a year. */
const MOST_DRILLS = 53;
const MOST_GAPS = 1000;
const NO_TIMES: StoredTimes = { bytesByMonth: new Map(), lanes: new Map(), storedAt: new Float64Array(), samples: [] };

export async function gatherFacts(
  repositories: readonly Repository[],
  overview: Overview,
  context: FactsContext,
): Promise<ReportFacts> {
  const { inventory, systemId } = overview;
  const at = context.asOf?.at.getTime() ?? context.clock.now();
  const known = await readKnownLocks(overview, context);
  const backups = backupFacts(overview, backupLocks(overview, known));
  const begin = firstMoment(
    inventory,
    backups.map(({ stoppedAt }) => stoppedAt),
  );
  const scale = timeScale(Math.min(begin ?? at, at), at);
  const times = inventory === undefined ? NO_TIMES : storedTimes(inventory, scale);
  const windows = await windowsJson(overview, context);
  const gaps = await gapsLeft(overview, context);
  return {
    at,
    asOf: context.asOf !== undefined,
    by: context.by,
    systemId,
    repositories: repositories.map((repository) => repositoryFact(repository, overview.failures)),
    backups,
    unfinished: overview.unfinished,
    damaged: overview.damaged.map(({ id }) => id),
    windows: windows.map(({ timeline, from, to, ...lsns }) => {
      return { ...lsns, timeline: timeline as Lane['timeline'], from: Date.parse(from), to: Date.parse(to) };
    }),
    gaps: inventory === undefined ? [] : gapFacts(inventory, gaps.slice(-MOST_GAPS)),
    gapCount: gaps.length,
    lanes: inventory === undefined ? [] : timelinesOf(inventory).map((one) => laneOf(one, inventory, times)),
    damagedHistories: (inventory?.damagedHistories ?? []).map(({ timeline }) => timeline),
    strange: inventory?.strange ?? [],
    lastStored: inventory === undefined ? undefined : lastStored(inventory),
    wal: {
      months: monthFacts(times, backups),
      pauses: pausesOf(times.storedAt, scale),
      delays: inventory === undefined ? [] : await delaysOf(overview, inventory, times, context),
    },
    drills: await drillFacts(overview, context, at),
    locks: { any: known.length > 0, nextEnd: (await nextLockExpiry(overview, known, context))?.getTime() },
    // Last: all that was read by then has met them.
    traces: repositories.flatMap(tracesOf).map((trace) => `${trace.object}: ${describeTrace(trace)}`),
  };
}

function firstMoment(inventory: WalInventory | undefined, others: readonly number[]): number | undefined {
  const stored = [...(inventory?.timelines.values() ?? [])].flatMap(({ segments }) => {
    const first = segments.runs[0]?.first;
    return (first === undefined ? undefined : segments.get(first)?.storedAt?.getTime()) ?? [];
  });
  const all = [...stored, ...others];
  return all.length === 0 ? undefined : all.reduce((least, one) => Math.min(least, one));
}

function repositoryFact(repository: Repository, failures: readonly RepositoryFailure[]): RepositoryFact {
  const failed = failures.find((failure) => failure.repository === repository);
  const { number, url, lock, retention } = repository;
  return {
    number,
    url,
    failure: failed === undefined ? undefined : failureText(failed.error),
    lock: lock === undefined ? undefined : { mode: lock.mode, periodMs: lock.periodMs },
    windowMs: retention.windowMs,
  };
}

function failureText(error: unknown): string {
  if (!(error instanceof WalholdError)) return reasonOf(error);
  return error.detail === undefined ? error.message : `${error.message}: ${error.detail}`;
}

function monthFacts({ bytesByMonth }: StoredTimes, backups: ReportFacts['backups']): MonthFact[] {
  const byMonth = Map.groupBy(backups, ({ id }) => `${id.slice(0, 4)}-${id.slice(4, 6)}`);
  const names = new Set([...bytesByMonth.keys(), ...byMonth.keys()]);
  return [...names].sort().map((month) => ({
    month,
    walBytes: bytesByMonth.get(month) ?? 0,
    backupBytes: (byMonth.get(month) ?? []).reduce((sum, { storedBytes }) => sum + storedBytes, 0),
  }));
}

/** One small read for each of the samples. */
async function delaysOf(
  { repositories, systemId }: Overview,
  inventory: WalInventory,
  { samples }: Pick<StoredTimes, 'samples'>,
  { signal, config }: FactsContext,
): Promise<WalTimes['delays']> {
  const heads = storedSegmentTimes(repositories, inventory, { signal, systemId });
  const delays = await mapParallel(samples, config.jobs, async (sample) => {
    const { lastCommit } = await heads.segment(sample);
    return lastCommit === undefined
      ? undefined
      : { at: sample.storedAt, delayMs: sample.storedAt - Number(lastCommit / 1000n) };
  });
  return delays.filter((delay) => delay !== undefined).sort((a, b) => a.at - b.at);
}

async function drillFacts(
  { repositories, systemId }: Overview,
  { signal, log, config }: FactsContext,
  now: number,
): Promise<DrillFact[]> {
  const options = { signal, systemId, now, most: MOST_DRILLS, jobs: config.jobs };
  const { drills, failures } = await readDrills(repositories, options);
  warnOfUnread(log, failures);
  return drills.map(drillFact);
}

function drillFact({ at, ok, backup, target, rtoSeconds, rpoSeconds, checks }: DrillRecord): DrillFact {
  const ms = (seconds: number | undefined): number | undefined => (seconds === undefined ? undefined : seconds * 1000);
  const failed = checks.filter((check) => !check.ok).map(({ name, detail }) => `${name}: ${detail}`);
  return { at: at.getTime(), ok, backup, target, rtoMs: ms(rtoSeconds), rpoMs: ms(rpoSeconds), failed };
}
