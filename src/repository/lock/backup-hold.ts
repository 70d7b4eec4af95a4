/**
 * Legal holds on all that a restore of one backup needs: the backups of its chain, the WAL that makes it consistent, the histories
 * of its timeline, and the identity.
 *
 * That a backup is held in its own right (not only as what another one builds on) is said by an object of its own,
 * `lock/hold/<id>.json`, made once and never deleted: the backup is held for as long as that object is. So who is held is what
 * the store says, and only whoever may set holds can change it. It is held first and released last: a run that was broken off is
 * repeated, and until then nothing that the backup needs is released with another.
 */
import type { Clock } from '../../base/clock.ts';
import { WalholdError } from '../../base/errors.ts';
import { mapParallel } from '../../base/parallel.ts';
import { lineage } from '../../postgres/timeline-history.ts';
import { formatTimeline, type TimelineId } from '../../postgres/timeline.ts';
import { historyName, segmentNumber, segmentsPerLog, segnoBefore, segnoOfLsn } from '../../postgres/wal-name.ts';
import type { CallOptions, ObjectInfo } from '../../store/store.ts';
import {
  backupPrefix,
  HOLD_PREFIX,
  holdKey,
  logDirectory,
  parseBackupId,
  parseWalKey,
  walKey,
  type BackupId,
} from '../layout.ts';
import { pathLegs } from '../recovery-path.ts';
import type { Repository } from '../repository.ts';
import { LockReader, versionOf } from './lock-reader.ts';
import { surveyLocks, type LockSurvey, type SurveyedBackup } from './lock-survey.ts';

export interface HoldOptions extends CallOptions {
  jobs: number;
  clock: Clock;
  /** Who makes the mark. */
  by: string;
}

export interface HoldReport {
  /** Objects that are held now, or no longer. */
  objects: number;
  bytes: number;
  /** Other backups that are held, and need some of what this one does. */
  sharedWith: readonly BackupId[];
}

/** Holds a backup. Held already: sees to it that all it needs is. Throws `not-found`, `unsupported`, or what the store says. */
export async function holdBackup(repository: Repository, id: BackupId, options: HoldOptions): Promise<HoldReport> {
  const { survey, reader } = await surveyFor(repository, options);
  const wanted = needsOf(survey, id);
  const mark = await makeMark(reader, id, options);
  await setHold(reader, [mark], true, { ...options, systemId: survey.systemId });
  const objects = await listNeeded(reader, survey, wanted);
  await setHold(reader, objects, true, { ...options, systemId: survey.systemId });
  return reportOf(objects, []);
}

/** Releases a backup: all that no other held backup needs. Not held: what may be left of an earlier run is released. */
export async function releaseBackup(repository: Repository, id: BackupId, options: HoldOptions): Promise<HoldReport> {
  const { survey, reader } = await surveyFor(repository, options);
  const wanted = needsOf(survey, id);
  const marks = await heldMarks(reader);
  const others = [...marks.keys()].filter((one) => one !== id);
  // A held backup whose record cannot be read may need anything.
  const needed = others.map((other) => ({ other, needs: needsOf(survey, other) }));
  const objects = await listNeeded(reader, survey, wanted);
  const shared = new Set<BackupId>();
  const free = objects.filter(({ key }) => {
    const holder = needed.find(({ needs }) => needs.includes(key));
    if (holder !== undefined) shared.add(holder.other);
    return holder === undefined;
  });
  await setHold(reader, free, false, { ...options, systemId: survey.systemId });
  const mark = marks.get(id);
  if (mark !== undefined) await setHold(reader, [mark], false, { ...options, systemId: survey.systemId });
  return reportOf(free, [...shared]);
}

/** The marks of the backups that are held. */
export async function heldMarks(reader: LockReader): Promise<Map<BackupId, ObjectInfo>> {
  const held = new Map<BackupId, ObjectInfo>();
  for await (const info of reader.list(HOLD_PREFIX)) {
    const id = parseBackupId(info.key.slice(HOLD_PREFIX.length, -'.json'.length));
    if (id !== undefined && holdKey(id) === info.key && (await reader.see(info))?.protection.hold === true)
      held.set(id, info);
  }
  return held;
}

async function surveyFor(
  repository: Repository,
  options: HoldOptions,
): Promise<{ survey: LockSurvey; reader: LockReader }> {
  if (repository.settings.scheme === 'file') {
    throw new WalholdError('unsupported', `could not hold anything in ${repository.url}`, {
      detail: 'holds are not supported on files',
      hint: 'Take a longer lock ("walhold backup --keep", then "walhold lock extend"), or keep a copy elsewhere.',
    });
  }
  const reader = new LockReader(repository, options);
  return { survey: await surveyLocks(repository, { ...options, recordMaxAgeMs: 0 }), reader };
}

/** What a restore needs, by name. */
class RestoreNeeds {
  readonly backups: readonly BackupId[];
  readonly timelines: readonly TimelineId[];
  readonly segments: readonly { timeline: TimelineId; first: bigint; last: bigint }[];
  readonly #segmentBytes: number;

  constructor(needs: Pick<RestoreNeeds, 'backups' | 'timelines' | 'segments'>, segmentBytes: number) {
    this.backups = needs.backups;
    this.timelines = needs.timelines;
    this.segments = needs.segments;
    this.#segmentBytes = segmentBytes;
  }

  includes(key: string): boolean {
    if (this.backups.some((id) => key.startsWith(backupPrefix(id)))) return true;
    const file = parseWalKey(key)?.file;
    // The identity is everybody's.
    if (file === undefined) return !key.startsWith('backup/');
    if (file.kind === 'history') return this.timelines.includes(file.timeline);
    const segno = segmentNumber(file, this.#segmentBytes);
    return this.segments.some(
      ({ timeline, first, last }) =>
        timeline === file.timeline && segno !== undefined && first <= segno && segno <= last,
    );
  }
}

function needsOf({ backups, facts, segmentBytes }: LockSurvey, id: BackupId): RestoreNeeds {
  const byId = new Map<string, SurveyedBackup>(backups.map((one) => [one.id, one]));
  const backup = byId.get(id);
  if (backup === undefined || segmentBytes === undefined) {
    throw new WalholdError('not-found', `there is no backup ${id} whose record can be read`, {
      hint: 'See "walhold list" for the backups that there are.',
    });
  }
  const chain = new Set<BackupId>();
  for (let at: SurveyedBackup | undefined = backup; at !== undefined && !chain.has(at.id);) {
    chain.add(at.id);
    at = at.parent === undefined ? undefined : byId.get(at.parent);
  }
  const history = facts.historyOf(backup.timeline);
  const last = segnoBefore(backup.stopLsn, segmentBytes);
  const segments = pathLegs(history, segnoOfLsn(backup.startLsn, segmentBytes), segmentBytes)
    .filter(({ first }) => first <= last)
    .map((leg) => ({ ...leg, last: leg.last !== undefined && leg.last < last ? leg.last : last }));
  return new RestoreNeeds({ backups: [...chain], timelines: lineage(history), segments }, segmentBytes);
}

async function listNeeded(
  reader: LockReader,
  { identity, histories, segmentBytes = 1 }: LockSurvey,
  needs: RestoreNeeds,
): Promise<ObjectInfo[]> {
  const files = new Set(
    needs.timelines.map((timeline) => walKey({ kind: 'history', name: historyName(timeline), timeline })),
  );
  const found = [identity, ...histories.filter(({ key }) => files.has(key))];
  const perLog = BigInt(segmentsPerLog(segmentBytes));
  const prefixes = needs.backups.map((id): string => backupPrefix(id));
  for (const { timeline, first, last } of needs.segments) {
    for (let log = first / perLog; log <= last / perLog; log += 1n) {
      prefixes.push(logDirectory(formatTimeline(timeline), Number(log)));
    }
  }
  for (const prefix of prefixes) {
    for await (const info of reader.list(prefix)) if (needs.includes(info.key)) found.push(info);
  }
  return found;
}

async function makeMark(reader: LockReader, id: BackupId, { clock, by, signal }: HoldOptions): Promise<ObjectInfo> {
  const { store } = reader.repository;
  const key = holdKey(id);
  const text = `${JSON.stringify({ format: 1, backup: id, at: new Date(clock.now()).toISOString(), by })}\n`;
  await store.create(key, { kind: 'buffer', bytes: Buffer.from(text) }, { signal });
  const info = await store.stat(key, { signal });
  if (info !== undefined) return info;
  throw new WalholdError('unreachable', `could not look at ${key} in ${store.url}`, {
    detail: 'it was stored a moment ago, and is not there',
  });
}

async function setHold(
  reader: LockReader,
  objects: readonly ObjectInfo[],
  on: boolean,
  { jobs, signal, systemId }: HoldOptions & { systemId: bigint },
): Promise<void> {
  await mapParallel(objects, jobs, async (info) => {
    for (const version of await reader.versionsOf(info, systemId)) {
      await reader.locks.hold(version.key, on, versionOf(version, signal));
    }
  });
}

function reportOf(objects: readonly ObjectInfo[], sharedWith: readonly BackupId[]): HoldReport {
  return { objects: objects.length, bytes: objects.reduce((sum, { bytes }) => sum + bytes, 0), sharedWith };
}
