/** What of a repository is needed until when: the survey's directories and objects, with their ends. Pure. */
import { formatTimeline } from '../../postgres/timeline.ts';
import { segmentsPerLog } from '../../postgres/wal-name.ts';
import type { ObjectInfo } from '../../store/store.ts';
import {
  backupPrefix,
  commitKey,
  configKey,
  logDirectory,
  manifestKey,
  parseWalKey,
  type BackupId,
} from '../layout.ts';
import { backupEnds, OPEN, type BackupEnds, type End, type Retention } from './kept-backups.ts';
import type { LockSurvey } from './lock-survey.ts';
import { walNeeds } from './wal-needs.ts';

export interface LockPlan {
  directories: readonly LockDirectory[];
  /** What does not lie in one of these: needed for ever. */
  objects: readonly { info: ObjectInfo; kind: 'identity' | 'history' }[];
  /** Oldest first. */
  backups: readonly BackupEnds[];
}

export interface LockDirectory {
  prefix: string;
  kind: 'wal' | 'backup';
  /** `undefined`: no longer needed. */
  end: End | undefined;
  /** Of a backup. */
  id: BackupId | undefined;
  /** What an object below it is; `undefined`: nothing of this format, or of this backup. */
  roleOf: (key: string) => 'segment' | 'beside' | undefined;
  /** How many segments make it whole: then what it holds can be recorded. */
  segments: number;
}

export function lockPlan(survey: LockSurvey, retention: Retention): LockPlan {
  const { now } = survey;
  const ends = backupEnds(survey.backups, retention, survey.facts);
  const end = new Map(ends.map(({ backup, objects }) => [backup.id, objects > now ? objects : undefined]));
  return {
    directories: [...walDirectories(survey, ends), ...backupDirectories(survey, end)],
    objects: [
      { info: survey.identity, kind: 'identity' },
      ...survey.histories.map((info) => ({ info, kind: 'history' as const })),
    ],
    backups: ends,
  };
}

function* walDirectories(
  { facts, segmentBytes, logs, now }: LockSurvey,
  ends: readonly BackupEnds[],
): Generator<LockDirectory> {
  if (segmentBytes === undefined) return;
  const needs = walNeeds(ends, facts, { segmentBytes, now });
  const segments = segmentsPerLog(segmentBytes);
  for (const [timeline, numbers] of logs) {
    const hex = formatTimeline(timeline);
    for (const log of numbers) {
      const end = needs.endOf(timeline, log);
      yield { prefix: logDirectory(hex, log), kind: 'wal', end, id: undefined, roleOf: walRole, segments };
    }
  }
}

function walRole(key: string): 'segment' | 'beside' | undefined {
  const file = parseWalKey(key)?.file;
  return file === undefined ? undefined : file.kind === 'segment' ? 'segment' : 'beside';
}

function* backupDirectories(survey: LockSurvey, ends: ReadonlyMap<string, End | undefined>): Generator<LockDirectory> {
  const common = { kind: 'backup' as const, segments: 0 };
  for (const { id, parts, hasConfig } of survey.backups) {
    const roleOf = backupRole(id, parts, hasConfig);
    yield { ...common, prefix: backupPrefix(id), end: ends.get(id), id, roleOf };
  }
  // Another repository may hold the record whole: the parts here are worth keeping until somebody has looked.
  for (const { id } of survey.damagedBackups) {
    yield { ...common, prefix: backupPrefix(id), end: OPEN, id, roleOf: backupRole(id, Infinity, true) };
  }
}

/** What of the objects in a backup's directory is one of this format; `parts`: how many its record names. */
export function backupRole(id: BackupId, parts: number, hasConfig: boolean): (key: string) => 'beside' | undefined {
  const names = new Set([commitKey(id), manifestKey(id), ...(hasConfig ? [configKey(id)] : [])]);
  const partName = /^part-([1-9][0-9]{0,6})\.tar\.zst$/;
  return (key) => {
    if (names.has(key)) return 'beside';
    const number = partName.exec(key.slice(backupPrefix(id).length))?.[1];
    return number !== undefined && Number(number) <= parts ? 'beside' : undefined;
  };
}
