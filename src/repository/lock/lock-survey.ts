/** What a repository holds, as far as locks are concerned: names of directories by delimited listings, and the backups' records. */
import { mapParallel } from '../../base/parallel.ts';
import { hasCode } from '../../base/errors.ts';
import { parseIso } from '../../postgres/timestamp.ts';
import { rootHistory, type TimelineHistory } from '../../postgres/timeline-history.ts';
import { formatTimeline, parseTimelineHex, type TimelineId } from '../../postgres/timeline.ts';
import type { CallOptions, ListEntry, ObjectInfo } from '../../store/store.ts';
import { readRecord } from '../backups.ts';
import type { BackupRecord } from '../backup-record.ts';
import { requireIdentity } from '../identity.ts';
import {
  BACKUP_PREFIX,
  EXPIRED_PREFIX,
  IDENTITY_KEY,
  LOCK_PREFIX,
  SEAL_PREFIX,
  logDirectory,
  parseBackupId,
  parseLogDirectory,
  parseWalKey,
  timelinePrefix,
  WAL_PREFIX,
  type BackupId,
} from '../layout.ts';
import { MOST_TIMELINES, tooManyTimelines } from '../read-wal-inventory.ts';
import type { Repository } from '../repository.ts';
import { readHistories, type DamagedHistory } from '../stored-histories.ts';
import { storedSegmentSize } from '../stored-segment-size.ts';
import { OPEN, type HistoryFacts, type NeededBackup } from './kept-backups.ts';
import { newestRecord, type FoundRecords } from './lock-records.ts';

export interface LockSurvey {
  systemId: bigint;
  /** By the store's clock, ms since 1970. */
  now: number;
  /** `undefined`: neither a backup nor a segment is stored. */
  segmentBytes: number | undefined;
  identity: ObjectInfo;
  /** Whether listings tell what protects an object; otherwise each must be asked for. */
  listingsTell: boolean;
  /** The numbers of the log directories of each timeline, rising. */
  logs: ReadonlyMap<TimelineId, readonly number[]>;
  histories: readonly ObjectInfo[];
  damagedHistories: readonly DamagedHistory[];
  facts: HistoryFacts;
  backups: readonly SurveyedBackup[];
  /** Backups whose record cannot be trusted, and why. */
  damagedBackups: readonly { id: BackupId; error: unknown }[];
  /** Identifiers of uploads without a record. */
  unfinished: readonly BackupId[];
  records: FoundRecords;
  /** Objects and directories that belong to none of these. */
  other: readonly ListEntry[];
}

export interface SurveyedBackup extends NeededBackup {
  readonly id: BackupId;
  /** Of the cluster that its record names. */
  readonly systemId: bigint;
  readonly startedAt: Date;
  /** How many parts its record names, and whether there is a `config.tar.zst`. */
  readonly parts: number;
  readonly partNumbers: readonly number[];
  readonly hasConfig: boolean;
}

export interface SurveyOptions extends CallOptions {
  jobs: number;
  clock: { now(): number };
  /** A record older than this says nothing any more. */
  recordMaxAgeMs: number;
}

/** Throws what the store says, and `store-gone` where no repository is. */
export async function surveyLocks(repository: Repository, options: SurveyOptions): Promise<LockSurvey> {
  const { store } = repository;
  const { signal, clock } = options;
  const { systemId } = await requireIdentity(store, { signal });
  const now = clock.now() + (store.clockSkewMs?.() ?? 0);
  const top = await listTop(repository, options);
  const wal = await listWal(repository, options);
  const found = await listBackups(repository, { ...options, systemId });
  const segmentBytes = found.segmentBytes ?? (await storedSegmentSize([repository], [], { signal }));
  const holders = new Map(wal.histories.map(({ timeline }) => [timeline, [repository]]));
  const { histories, damaged } = await readHistories(holders, { signal, systemId });
  const facts = await factsOf(repository, { wal, histories, backups: found.backups }, options);
  const maxAgeMs = options.recordMaxAgeMs;
  return {
    ...top,
    ...found,
    systemId,
    now,
    segmentBytes,
    listingsTell: top.identity.protection !== undefined,
    logs: wal.logs,
    histories: wal.histories.map(({ info }) => info),
    damagedHistories: damaged,
    facts,
    records: await newestRecord(repository, { signal, systemId, now, maxAgeMs }),
    other: [...top.other, ...wal.other, ...found.other],
  };
}

async function listTop(
  { store }: Repository,
  { signal }: CallOptions,
): Promise<{ identity: ObjectInfo; other: ListEntry[] }> {
  const known = new Set([WAL_PREFIX, BACKUP_PREFIX, LOCK_PREFIX, EXPIRED_PREFIX, SEAL_PREFIX]);
  const other: ListEntry[] = [];
  let identity: ObjectInfo | undefined;
  for await (const entry of store.list('', { signal, delimited: true })) {
    if (entry.kind === 'object' && entry.key === IDENTITY_KEY) identity = entry;
    else if (entry.kind === 'object' || !known.has(entry.prefix)) other.push(entry);
  }
  // It was read a moment ago: what can be read without being listed is listed late.
  identity ??= await store.stat(IDENTITY_KEY, { signal });
  return { identity: identity ?? { key: IDENTITY_KEY, bytes: 0, storedAt: new Date(0), tag: '' }, other };
}

interface WalListing {
  logs: Map<TimelineId, number[]>;
  histories: { timeline: TimelineId; info: ObjectInfo }[];
  other: ListEntry[];
}

async function listWal({ store, url }: Repository, { signal }: CallOptions): Promise<WalListing> {
  const found: WalListing = { logs: new Map(), histories: [], other: [] };
  for await (const entry of store.list(WAL_PREFIX, { signal, delimited: true })) {
    if (entry.kind === 'directory') {
      const timeline = parseTimelineHex(entry.prefix.slice(WAL_PREFIX.length, -1));
      if (timeline === undefined) found.other.push(entry);
      else found.logs.set(timeline, []);
    } else {
      const file = parseWalKey(entry.key)?.file;
      if (file?.kind === 'history') found.histories.push({ timeline: file.timeline, info: entry });
      else found.other.push(entry);
    }
    if (found.logs.size + found.histories.length > MOST_TIMELINES) throw tooManyTimelines(url);
  }
  for (const [timeline, logs] of found.logs) {
    for await (const entry of store.list(timelinePrefix(formatTimeline(timeline)), { signal, delimited: true })) {
      const directory = entry.kind === 'directory' ? parseLogDirectory(entry.prefix) : undefined;
      if (directory?.timeline === timeline) logs.push(directory.log);
      else found.other.push(entry);
    }
  }
  return found;
}

interface BackupListing extends Pick<LockSurvey, 'backups' | 'damagedBackups' | 'unfinished' | 'segmentBytes'> {
  other: ListEntry[];
}

async function listBackups(
  repository: Repository,
  { signal, jobs, systemId }: SurveyOptions & { systemId: bigint },
): Promise<BackupListing> {
  const ids: BackupId[] = [];
  const other: ListEntry[] = [];
  for await (const entry of repository.store.list(BACKUP_PREFIX, { signal, delimited: true })) {
    const id = entry.kind === 'directory' ? parseBackupId(entry.prefix.slice(BACKUP_PREFIX.length, -1)) : undefined;
    if (id === undefined) other.push(entry);
    else ids.push(id);
  }
  const backups: SurveyedBackup[] = [];
  const damagedBackups: { id: BackupId; error: unknown }[] = [];
  const unfinished: BackupId[] = [];
  let segmentBytes: number | undefined;
  await mapParallel(ids, jobs, async (id) => {
    try {
      const record = await readRecord(repository, id, { signal, systemId });
      if (record === undefined) unfinished.push(id);
      else {
        segmentBytes ??= record.server.segmentBytes;
        backups.push(surveyed(record));
      }
    } catch (error) {
      if (!hasCode(error, 'damaged', 'bad-format')) throw error;
      damagedBackups.push({ id, error });
    }
  });
  return { backups: backups.sort((a, b) => (a.id < b.id ? -1 : 1)), damagedBackups, unfinished, segmentBytes, other };
}

/** All of a record but the list of its files, which can be long. */
function surveyed(record: BackupRecord): SurveyedBackup {
  const { id, type, parent, timeline, startLsn, stopLsn, keepUntil } = record;
  return {
    id,
    type,
    parent,
    timeline,
    startLsn,
    stopLsn,
    systemId: record.server.systemId,
    startedAt: timeOf(record.startedAt),
    stoppedAt: timeOf(record.stoppedAt),
    keep: keepUntil === undefined ? undefined : keepUntil === 'forever' ? OPEN : timeOf(keepUntil).getTime(),
    parts: record.parts.reduce((most, { number }) => Math.max(most, number), 0),
    partNumbers: record.parts.map(({ number }) => number),
    hasConfig: record.config !== undefined,
  };
}

/** To the millisecond, upwards. */
function timeOf(iso: string): Date {
  return new Date(Number(((parseIso(iso) ?? 0n) + 999n) / 1000n));
}

async function factsOf(
  { store }: Repository,
  found: { wal: WalListing; histories: Map<TimelineId, TimelineHistory>; backups: readonly SurveyedBackup[] },
  { signal }: CallOptions,
): Promise<HistoryFacts> {
  const { wal, histories, backups } = found;
  const timelines = [
    ...new Set([...wal.logs.keys(), ...histories.keys(), ...backups.map(({ timeline }) => timeline)]),
  ].sort((a, b) => a - b);
  const last = new Map<TimelineId, number>();
  for (const [timeline, logs] of wal.logs) {
    // Of a single timeline the newest backup is the newest of all, and nothing hangs on when its WAL ends.
    const log = timelines.length > 1 ? logs.at(-1) : undefined;
    if (log === undefined) continue;
    for await (const entry of store.list(logDirectory(formatTimeline(timeline), log), { signal })) {
      if (entry.kind === 'object') last.set(timeline, Math.max(last.get(timeline) ?? 0, entry.storedAt.getTime()));
    }
  }
  return {
    timelines,
    historyOf: (timeline) => histories.get(timeline) ?? rootHistory(timeline),
    lastStoredAt: (timeline) => last.get(timeline),
  };
}
