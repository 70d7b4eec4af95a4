import type { Retention } from '../../store/store.ts';
import type { BackupLocks, LockReport, ObjectClass, ShortLock } from '../../repository/lock/lock-report.ts';
import type { LockTally } from '../../repository/lock/lock-tally.ts';
import { OPEN, type End } from '../../repository/lock/kept-backups.ts';
import type { Repository } from '../../repository/repository.ts';
import { describeTrace, tracesOf, type Trace } from '../../repository/traces.ts';

/** The shape of `walhold lock status --json`. `null`: there is none, or it may not be seen. */
export interface LockStatusJson {
  /** Nothing needed is short, nobody has meddled, and every repository could be read. */
  ok: boolean;
  repositories: RepositoryLocksJson[];
}

export interface RepositoryLocksJson {
  /** 1 for `repo`, 2 for `repo2`, … */
  repository: number;
  url: string;
  /** The moment all this holds for, by the store's clock. */
  at: string;
  /** What the settings ask for; `null`: nothing (`lock_mode = none`). */
  lock: { mode: string; periodSeconds: number; maxSeconds: number } | null;
  bucket: BucketJson;
  classes: Record<ObjectClass, LocksJson>;
  /** Oldest first; its own objects, without the WAL. */
  backups: BackupLocksJson[];
  /** What is needed and not locked long enough, in objects; `objects` names a hundred at most. */
  short: { count: number; objects: ShortJson[] };
  /**
   * Objects by what vouches for their locks: the store, asked now; the newest record of `lock extend`; their age and `lock_period`.
   * `belied`: how many of those asked for are locked for less than their age says; then `byAge` vouches for nothing.
   */
  proof: { byStore: number; byRecord: number; byAge: number; belied: number; record: string | null };
  tampering: { count: number; traces: TraceJson[] };
  /** Backups whose record cannot be read: their objects count as needed, the WAL that they need is not known. */
  damagedBackups: string[];
}

export interface BucketJson {
  versioning: 'on' | 'suspended' | 'off' | null;
  lockable: boolean | null;
  defaultRetention: { mode: string; periodSeconds: number } | 'none' | null;
  lifecycle: string[] | null;
  why: string[];
}

export interface LocksJson {
  objects: number;
  bytes: number;
  /** Objects by the mode of their lock; `none`: not locked. */
  modes: Record<string, number>;
  earliest: string | null;
  latest: string | null;
  /** Under a legal hold, as far as the store told. */
  held: number;
}

export interface BackupLocksJson extends LocksJson {
  id: string;
  type: 'full' | 'incremental';
  parent: string | null;
  /** Whether a kept backup or the window needs it now. */
  needed: boolean;
  /** `null`: not needed any more, or needed without a known end. */
  neededUntil: string | null;
  /** By `lock hold`. */
  isHeld: boolean;
}

export interface ShortJson {
  /** A key, or where the record speaks of a whole directory its prefix. */
  object: string;
  objects: number;
  lockedUntil: string | null;
  neededUntil: string;
}

/**
 * What somebody else left, as `walhold verify` has it, and besides: `wrong-record`: a record of locks that cannot be read, or comes from
 * the future. `shorter`: an object in a directory is locked for less than the record says.
 */
export interface TraceJson {
  kind: Trace['kind'] | 'wrong-record' | 'shorter';
  object: string;
  version: string | null;
  at: string | null;
  detail: string | null;
}

/** As many traces are named. */
const MOST_TRACES = 100;

export function repositoryLocks(repository: Repository, report: LockReport): RepositoryLocksJson {
  const { survey, bucket, classes, backups, short, proof } = report;
  const { lock } = repository;
  const traces = allTraces(repository, report);
  const { wal, history, backup, identity, other } = classes;
  return {
    repository: repository.number,
    url: repository.url,
    at: new Date(survey.now).toISOString(),
    lock:
      lock === undefined
        ? null
        : { mode: lock.mode, periodSeconds: lock.periodMs / 1000, maxSeconds: lock.maxMs / 1000 },
    bucket: bucketJson(bucket),
    classes: {
      wal: locksJson(wal),
      history: locksJson(history),
      backup: locksJson(backup),
      identity: locksJson(identity),
      other: locksJson(other),
    },
    backups: backups.map((one) => backupLocks(one, survey.now)),
    short: { count: short.count, objects: short.objects.map(shortJson) },
    proof: { ...proof, record: survey.records.newest?.key ?? null },
    tampering: { count: traces.length, traces: traces.slice(0, MOST_TRACES) },
    damagedBackups: survey.damagedBackups.map(({ id }) => id),
  };
}

function bucketJson({ versioning, lockable, defaultRetention, lifecycle, why }: LockReport['bucket']): BucketJson {
  return {
    versioning: versioning ?? null,
    lockable: lockable ?? null,
    defaultRetention:
      typeof defaultRetention === 'object'
        ? { mode: defaultRetention.mode, periodSeconds: defaultRetention.periodMs / 1000 }
        : (defaultRetention ?? null),
    lifecycle: lifecycle === undefined ? null : [...lifecycle],
    why: [...why],
  };
}

function locksJson(tally: LockTally): LocksJson {
  const modes: Record<string, number> = Object.fromEntries(tally.modes);
  if (tally.unlocked > 0) modes['none'] = tally.unlocked;
  const { objects, bytes, held } = tally;
  return { objects, bytes, modes, earliest: isoOrNull(tally.earliest), latest: isoOrNull(tally.latest), held };
}

function backupLocks({ ends, tally, held }: BackupLocks, now: number): BackupLocksJson {
  const { id, type, parent } = ends.backup;
  const needed = ends.objects > now;
  const neededUntil = needed ? isoOrNull(finite(ends.objects)) : null;
  return { id, type, parent: parent ?? null, needed, neededUntil, isHeld: held, ...locksJson(tally) };
}

function shortJson({ object, objects, lockedUntil, neededUntil }: ShortLock): ShortJson {
  return { object, objects, lockedUntil: lockedUntil?.toISOString() ?? null, neededUntil: neededUntil.toISOString() };
}

function allTraces(repository: Repository, { survey, contradictions }: LockReport): TraceJson[] {
  const none = { version: null, at: null };
  return [
    ...tracesOf(repository).map((trace): TraceJson => {
      const { kind, object, version, at } = trace;
      return { kind, object, version, at: at.toISOString(), detail: describeTrace(trace) };
    }),
    ...survey.records.bad.map(({ key, reason }): TraceJson => {
      return { ...none, kind: 'wrong-record', object: key, detail: `it is no record of locks to believe: ${reason}` };
    }),
    ...contradictions.map((object): TraceJson => {
      return {
        ...none,
        kind: 'shorter',
        object,
        detail: 'something in it is locked for less than the last record says',
      };
    }),
  ];
}

function finite(end: End): number | undefined {
  return end === OPEN ? undefined : end;
}

/** What never ends (a date of some store) is the last moment that can be written. */
export function isoOrNull(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(Math.min(ms, LATEST_MS)).toISOString();
}

const LATEST_MS = Date.UTC(9999, 11, 31, 23, 59, 59);

/** The end of a lock for people; `-`: none. */
export function endText(lock: Retention['until'] | string | null | undefined): string {
  return lock === undefined || lock === null
    ? '-'
    : (typeof lock === 'string' ? lock : lock.toISOString()).slice(0, 16) + 'Z';
}
