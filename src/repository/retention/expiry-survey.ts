/**
 * What a repository holds, as far as expiry is concerned: by listings, and the records of backups. Whatever cannot be read ends it: it
 * may be what something else builds on.
 */
import { reasonOf, WalholdError } from '../../base/errors.ts';
import { mapParallel } from '../../base/parallel.ts';
import type { TimelineId } from '../../postgres/timeline.ts';
import { segmentsPerLog, segnoBefore, segnoOfLsn } from '../../postgres/wal-name.ts';
import type { CallOptions, ObjectInfo } from '../../store/store.ts';
import {
  BACKUP_PREFIX,
  commitKey,
  configKey,
  manifestKey,
  parseBackupId,
  partKey,
  startOfBackupId,
  type BackupId,
} from '../layout.ts';
import { heldMarks } from '../lock/backup-hold.ts';
import { OPEN, type HistoryFacts, type Retention } from '../lock/kept-backups.ts';
import type { Claim } from '../lock/lock-record.ts';
import { LockReader } from '../lock/lock-reader.ts';
import { surveyLocks, type LockSurvey, type SurveyedBackup } from '../lock/lock-survey.ts';
import { pathLegs } from '../recovery-path.ts';
import type { Repository } from '../repository.ts';
import { readExpired } from './expired-records.ts';
import type { ExpiredRecord } from './expired-record.ts';
import { GRACE_MS, type ExpiryInput } from './expiry-plan.ts';
import { readLog, type StoredLog } from './stored-log.ts';

export interface ExpirySurvey {
  readonly systemId: bigint;
  /** All but what is locked. */
  readonly input: Omit<ExpiryInput, 'locked'>;
  readonly logs: readonly StoredLog[];
  /** What lies in the directories of backups and uploads. */
  readonly objects: ReadonlyMap<BackupId, readonly ObjectInfo[]>;
  /** Uploads without a record that are given up. */
  readonly abandoned: readonly BackupId[];
  /** Uploads without a record that may be under way. */
  readonly underWay: readonly BackupId[];
  /** Backups of other clusters: nobody's business here. */
  readonly foreign: readonly BackupId[];
  /** By directory: what the newest record of locks says. */
  readonly claims: ReadonlyMap<string, Claim>;
  /** What earlier runs gave up. */
  readonly expired: ExpiredRecord | undefined;
  /** When the newest object of all was stored, ms since 1970. */
  readonly lastStoredAt: number;
}

export interface ExpirySurveyOptions extends CallOptions {
  jobs: number;
  clock: { now(): number };
  retention: Retention & { readonly windowMs: number };
}

/** A backup's identifier is given before it starts, by a clock that may differ from the server's. */
const SLACK_MS = 3_600_000;

/** Throws what the store says, `store-gone` where no repository is, and `damaged` where something cannot be trusted. */
export async function surveyExpiry(repository: Repository, options: ExpirySurveyOptions): Promise<ExpirySurvey> {
  const { clock, signal, jobs, retention } = options;
  const locks = await surveyLocks(repository, { signal, jobs, clock, recordMaxAgeMs: repository.lock?.maxMs ?? 0 });
  requireReadable(repository, locks);
  const { systemId, segmentBytes = 16 * 1024 * 1024 } = locks;
  // Both clocks have to say that something is over.
  const now = Math.min(clock.now(), locks.now);
  const places = [...locks.logs].flatMap(([timeline, logs]) => logs.map((log) => ({ timeline, log, segmentBytes })));
  const logs = await mapParallel(places, jobs, (place) => readLog(repository.store, place, { signal }));
  const objects = await listBackupObjects(repository, options);
  const expired = await readExpired(repository, { systemId, since: now - GRACE_MS, signal });
  const uploads = judgeUploads(locks.unfinished, { objects, now, givenUp: expired.backups });
  const held = await heldBackups(repository, options);
  const facts = factsOf(locks, logs, uploads.takenSince);
  const wal = new LoggedWal(logs, segmentBytes);
  const own = locks.backups.filter((one) => one.systemId === systemId);
  const backups = own.map((one) => ({
    ...one,
    keep: held.has(one.id) ? OPEN : one.keep,
    complete: hasObjects(one, objects) && wal.hasOf(one, facts, segmentBytes),
  }));
  return {
    systemId,
    input: { backups, facts, retention, segmentBytes, now },
    logs,
    objects,
    abandoned: uploads.abandoned,
    underWay: uploads.underWay,
    foreign: locks.backups.filter((one) => one.systemId !== systemId).map(({ id }) => id),
    claims: locks.records.newest?.record.claims ?? new Map(),
    expired: expired.newest,
    lastStoredAt: lastOf(lastTimes(logs, objects)),
  };
}

function requireReadable({ url }: Repository, { damagedBackups, damagedHistories }: LockSurvey): void {
  const [backup] = damagedBackups;
  const [history] = damagedHistories;
  const error = backup?.error ?? history?.error;
  if (error === undefined) return;
  const detail = error instanceof WalholdError && error.detail !== undefined ? `: ${error.detail}` : '';
  throw new WalholdError('damaged', `could not tell what ${url} still needs, so nothing was removed`, {
    detail: `${reasonOf(error)}${detail}`,
    hint: 'See "walhold verify"; what cannot be read may be what something else builds on.',
    cause: error,
  });
}

async function listBackupObjects(
  { store }: Repository,
  { signal }: CallOptions,
): Promise<ReadonlyMap<BackupId, ObjectInfo[]>> {
  const objects = new Map<BackupId, ObjectInfo[]>();
  for await (const entry of store.list(BACKUP_PREFIX, { signal })) {
    if (entry.kind !== 'object') continue;
    const id = parseBackupId(entry.key.slice(BACKUP_PREFIX.length, entry.key.lastIndexOf('/')));
    if (id === undefined) continue;
    const known = objects.get(id);
    if (known === undefined) objects.set(id, [entry]);
    else known.push(entry);
  }
  return objects;
}

interface Uploads {
  abandoned: BackupId[];
  underWay: BackupId[];
  takenSince: number | undefined;
}

function judgeUploads(
  unfinished: readonly BackupId[],
  {
    objects,
    now,
    givenUp,
  }: { objects: ReadonlyMap<BackupId, readonly ObjectInfo[]>; now: number; givenUp: ReadonlySet<BackupId> },
): Uploads {
  const uploads: Uploads = { abandoned: [], underWay: [], takenSince: undefined };
  for (const id of [...unfinished].sort()) {
    const own = objects.get(id) ?? [];
    if (own.length === 0) continue;
    const times = own.map(({ storedAt }) => storedAt.getTime());
    // A record that came since the records were read: it has just ended.
    const hasEnded = own.some(({ key }) => key === commitKey(id));
    if (!hasEnded && (givenUp.has(id) || Math.max(...times) + GRACE_MS <= now)) {
      uploads.abandoned.push(id);
      continue;
    }
    uploads.underWay.push(id);
    const began = Math.min(startOfBackupId(id), ...times) - SLACK_MS;
    uploads.takenSince = Math.min(uploads.takenSince ?? Infinity, began);
  }
  return uploads;
}

async function heldBackups(
  repository: Repository,
  { signal, jobs }: ExpirySurveyOptions,
): Promise<ReadonlySet<BackupId>> {
  if (repository.store.locks === undefined) return new Set();
  return new Set((await heldMarks(new LockReader(repository, { signal, jobs }))).keys());
}

function factsOf(locks: LockSurvey, logs: readonly StoredLog[], takenSince: number | undefined): HistoryFacts {
  const last = new Map<TimelineId, number>();
  for (const { timeline, lastStoredAt } of logs) last.set(timeline, Math.max(last.get(timeline) ?? 0, lastStoredAt));
  const { timelines, historyOf } = locks.facts;
  return { timelines, historyOf, lastStoredAt: (timeline) => last.get(timeline), takenSince };
}

function hasObjects(
  { id, partNumbers, hasConfig }: SurveyedBackup,
  objects: ReadonlyMap<BackupId, readonly ObjectInfo[]>,
): boolean {
  const keys = new Set((objects.get(id) ?? []).map(({ key }) => key));
  const parts = partNumbers.map((part) => partKey(id, part));
  const wanted = [commitKey(id), manifestKey(id), ...(hasConfig ? [configKey(id)] : []), ...parts];
  return wanted.every((key) => keys.has(key));
}

class LoggedWal {
  readonly #logs: ReadonlyMap<string, StoredLog>;
  readonly #perLog: bigint;

  constructor(logs: readonly StoredLog[], segmentBytes: number) {
    this.#logs = new Map(logs.map((one) => [`${one.timeline} ${one.log}`, one]));
    this.#perLog = BigInt(segmentsPerLog(segmentBytes));
  }

  /** Whether the WAL is there that makes the backup consistent. */
  hasOf(backup: SurveyedBackup, { historyOf }: HistoryFacts, segmentBytes: number): boolean {
    const last = segnoBefore(backup.stopLsn, segmentBytes);
    const legs = pathLegs(historyOf(backup.timeline), segnoOfLsn(backup.startLsn, segmentBytes), segmentBytes);
    for (const leg of legs) {
      const to = leg.last !== undefined && leg.last < last ? leg.last : last;
      for (let segno = leg.first; segno <= to; segno += 1n) if (!this.#has(leg.timeline, segno)) return false;
    }
    return true;
  }

  #has(timeline: TimelineId, segno: bigint): boolean {
    return this.#logs.get(`${timeline} ${segno / this.#perLog}`)?.has(segno) === true;
  }
}

function* lastTimes(
  logs: readonly StoredLog[],
  objects: ReadonlyMap<BackupId, readonly ObjectInfo[]>,
): Generator<number> {
  for (const { lastStoredAt } of logs) yield lastStoredAt;
  for (const each of objects.values()) for (const { storedAt } of each) yield storedAt.getTime();
}

/** Without spreading: there can be a hundred thousand. */
function lastOf(times: Iterable<number>): number {
  let last = 0;
  for (const at of times) last = Math.max(last, at);
  return last;
}
