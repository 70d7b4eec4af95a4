/**
 * Until when things are locked, as far as that is known without asking for objects: the newest record of `lock extend`, and for what
 * it does not name the period from the storing. What `list` and `status` show; `lock status` is what proves it.
 */
import { formatTimeline, type TimelineId } from '../../postgres/timeline.ts';
import { segmentsPerLog } from '../../postgres/wal-name.ts';
import type { CallOptions } from '../../store/store.ts';
import { backupPrefix, IDENTITY_KEY, logDirectory } from '../layout.ts';
import type { BackupSummary } from '../backups.ts';
import { pointOf, type Overview } from '../overview.ts';
import type { Repository } from '../repository.ts';
import { historyOf, timelinesOf, walOf, type WalInventory } from '../wal-inventory.ts';
import { backupEnds, OPEN, type HistoryFacts, type NeededBackup } from './kept-backups.ts';
import type { Claim } from './lock-record.ts';
import { newestRecord } from './lock-records.ts';
import { walNeeds } from './wal-needs.ts';

export interface KnownLocks {
  repository: Repository;
  /** By the store's clock, ms since 1970. */
  now: number;
  claims: ReadonlyMap<string, Claim>;
}

/** Of the repositories that lock: two requests each. */
export async function readKnownLocks(
  { repositories, systemId }: Pick<Overview, 'repositories' | 'systemId'>,
  { signal, clock }: CallOptions & { clock: { now(): number } },
): Promise<KnownLocks[]> {
  const known: KnownLocks[] = [];
  for (const repository of repositories) {
    if (repository.lock === undefined) continue;
    const now = clock.now() + (repository.store.clockSkewMs?.() ?? 0);
    const { newest } = await newestRecord(repository, { signal, systemId, now, maxAgeMs: repository.lock.maxMs });
    known.push({ repository, now, claims: newest?.record.claims ?? new Map() });
  }
  return known;
}

/**
 * Answers for a backup's identifier the earliest lock end of it and all that it builds on, in the repository that locks it longest.
 * `undefined`: in none it is locked any more, or was.
 */
export function backupLocks(
  { backups }: Pick<Overview, 'backups'>,
  known: readonly KnownLocks[],
): (id: string) => Date | undefined {
  const byId: BackupsById = new Map(backups.map((one) => [one.summary.id, one]));
  return (id) => {
    const ends = known.flatMap((locks) => chainLockedUntil(id, byId, locks) ?? []);
    return ends.length === 0 ? undefined : new Date(Math.max(...ends));
  };
}

type BackupsById = ReadonlyMap<string, Overview['backups'][number]>;

function chainLockedUntil(id: string, byId: BackupsById, locks: KnownLocks): number | undefined {
  let earliest: number | undefined;
  const seen = new Set<string>();
  for (let at: string | undefined = id; at !== undefined && !seen.has(at);) {
    seen.add(at);
    const found = byId.get(at);
    if (found === undefined || !found.repositories.includes(locks.repository.number)) return undefined;
    earliest = Math.min(earliest ?? Infinity, ownLockedUntil(found.summary, locks));
    at = found.summary.parent;
  }
  return earliest !== undefined && earliest > locks.now ? earliest : undefined;
}

/** Its first object was stored right after it began. */
function ownLockedUntil(summary: BackupSummary, { repository, claims }: KnownLocks): number {
  const claim = claims.get(backupPrefix(summary.id));
  return claim?.until.getTime() ?? Date.parse(summary.startedAt) + (repository.lock?.periodMs ?? 0);
}

/** When the first lock ends of what a kept backup or the window needs. `undefined`: nothing that is needed is locked. */
export async function nextLockExpiry(
  overview: Overview,
  known: readonly KnownLocks[],
  { signal }: CallOptions,
): Promise<Date | undefined> {
  const ends: number[] = [];
  for (const locks of known) {
    const identity = await locks.repository.store.stat(IDENTITY_KEY, { signal });
    const until = identity?.protection?.retention?.until;
    if (until !== undefined) ends.push(until.getTime());
    for (const end of neededEnds(overview, locks)) ends.push(end);
  }
  const next = ends.reduce((first, end) => Math.min(first, end), Infinity);
  return next === Infinity ? undefined : new Date(next);
}

function* neededEnds({ backups, inventory }: Overview, locks: KnownLocks): Generator<number> {
  if (inventory === undefined) return;
  const { repository, now } = locks;
  const here = backups.filter(({ repositories }) => repositories.includes(repository.number));
  const facts = factsOf(inventory);
  const summaries = new Map<string, BackupSummary>(here.map(({ summary }) => [summary.id, summary]));
  const ends = backupEnds([...summaries.values()].map(neededBackup), repository.retention, facts);
  for (const { backup, objects } of ends) {
    const summary = summaries.get(backup.id);
    if (objects > now && summary !== undefined) yield ownLockedUntil(summary, locks);
  }
  const { segmentBytes } = inventory;
  const needs = walNeeds(ends, facts, { segmentBytes, now });
  for (const timeline of inventory.timelines.keys()) yield* walEnds(timeline, inventory, locks, needs);
}

/** By directories: the first segment of one is its oldest. */
function* walEnds(
  timeline: TimelineId,
  inventory: WalInventory,
  { repository, claims }: KnownLocks,
  needs: ReturnType<typeof walNeeds>,
): Generator<number> {
  const { segments } = walOf(inventory, timeline);
  const perLog = BigInt(segmentsPerLog(inventory.segmentBytes));
  const hex = formatTimeline(timeline);
  for (const run of segments.runsIn(repository.number)) {
    for (let log = run.first / perLog; log <= run.last / perLog; log += 1n) {
      if (needs.endOf(timeline, Number(log)) === undefined) continue;
      const claim = claims.get(logDirectory(hex, Number(log)));
      const first = log * perLog > run.first ? log * perLog : run.first;
      const stored = segments.get(first)?.storedAt?.getTime();
      if (claim !== undefined) yield claim.until.getTime();
      else if (stored !== undefined) yield stored + (repository.lock?.periodMs ?? 0);
    }
  }
}

function factsOf(inventory: WalInventory): HistoryFacts {
  return {
    timelines: timelinesOf(inventory),
    historyOf: (timeline) => historyOf(inventory, timeline),
    lastStoredAt(timeline) {
      const { segments } = walOf(inventory, timeline);
      const last = segments.runs.at(-1)?.last;
      return last === undefined ? undefined : segments.get(last)?.storedAt?.getTime();
    },
  };
}

function neededBackup(summary: BackupSummary): NeededBackup {
  const { type, parent, keepUntil } = summary;
  const { summary: _, ...point } = pointOf(summary);
  const keep = keepUntil === undefined ? undefined : keepUntil === 'forever' ? OPEN : Date.parse(keepUntil);
  return { ...point, type, parent, keep };
}
