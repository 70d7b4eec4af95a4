import { resolve } from 'node:path';
import { WalholdError } from '../../base/errors.ts';
import { parseLsn } from '../../postgres/lsn.ts';
import { parseTargetTime, type LocalZone } from '../../postgres/target-time.ts';
import { parseTimelineText } from '../../postgres/timeline.ts';
import { parseBackupId } from '../../repository/layout.ts';
import type { RecoveryTarget, TimelineWish } from '../../repository/recovery-target.ts';
import type { ProgressOutput } from '../progress/views.ts';
import { parseMapping, type TablespaceMapping } from './tablespace-mapping.ts';

/** What the command line says, as it stands there. */
export interface RestoreWords {
  pgdata?: string;
  backup?: string;
  targetTime?: string;
  targetLsn?: string;
  targetXid?: string;
  targetName?: string;
  targetImmediate?: boolean;
  targetTimeline?: string;
  targetAction?: string;
  targetExclusive?: boolean;
  tablespaceMapping?: readonly string[];
  standby?: boolean;
  archiveMode?: string;
  endAtGap?: boolean;
  configDir?: string;
  dryRun?: boolean;
  plan?: boolean;
  json?: boolean;
  useRepo?: string;
  delta?: boolean;
  onlyDb?: readonly string[];
}

export type TargetAction = 'pause' | 'promote' | 'shutdown';

/** The same, understood. */
export interface RestoreOptions {
  /** Absolute; `undefined` only where nothing but the plan is wanted. */
  dataDirectory: string | undefined;
  /** `any`, `latest` or an identifier. */
  backup: string;
  target: RecoveryTarget;
  exclusive: boolean;
  timeline: TimelineWish;
  /** `--target-timeline latest` was written, or stands because of `--standby`. */
  followsLatest: boolean;
  action: TargetAction;
  mappings: readonly TablespaceMapping[];
  standby: boolean;
  archiveMode: 'preserve' | 'off' | undefined;
  endAtGap: boolean;
  /** Absolute: where configuration from outside the data directory is laid down. */
  configDirectory: string | undefined;
  /** Into a directory that is not empty: files that are the backup's stay. */
  delta: boolean;
  /** Names of the databases that are restored; none: all. */
  onlyDatabases: readonly string[];
  dryRun: boolean;
  json: boolean;
  useRepo: string | undefined;
  /** Absolute path of walhold's configuration file; `undefined`: there is none. */
  configFile: string | undefined;
  /** `undefined`: no progress is shown. */
  progress: ProgressOutput | undefined;
}

export interface OptionSources {
  workingDirectory: string;
  /** As it was found. */
  configFile: string | undefined;
  zone: LocalZone;
  /** `PGDATA`. */
  environment: Readonly<Record<string, string | undefined>>;
  progress: ProgressOutput | undefined;
}

/** Throws `usage`. */
export function parseRestoreOptions(words: RestoreWords, sources: OptionSources): RestoreOptions {
  const { workingDirectory, environment, progress, configFile } = sources;
  const dryRun = words.dryRun === true || words.plan === true;
  const directory = words.pgdata ?? (environment['PGDATA'] === '' ? undefined : environment['PGDATA']);
  if (directory === undefined && (!dryRun || words.delta === true)) {
    throw usage('no directory to restore into is given', 'Name it with -D.');
  }
  const target = targetOf(words, sources.zone);
  const standby = words.standby === true;
  if (standby && words.onlyDb !== undefined) {
    throw usage('--only-db does not go with --standby', 'A standby follows with all databases: leave one of them out.');
  }
  return {
    dataDirectory: directory === undefined ? undefined : resolve(workingDirectory, directory),
    backup: backupOf(words.backup),
    target,
    exclusive: exclusiveOf(words, target),
    timeline: timelineOf(words.targetTimeline),
    followsLatest: standby && (words.targetTimeline ?? 'latest') === 'latest',
    action: actionOf(words, target),
    mappings: (words.tablespaceMapping ?? []).map(parseMapping),
    standby,
    archiveMode: archiveModeOf(words.archiveMode),
    endAtGap: words.endAtGap === true,
    configDirectory: words.configDir === undefined ? undefined : resolve(workingDirectory, words.configDir),
    delta: words.delta === true,
    onlyDatabases: words.onlyDb ?? [],
    dryRun,
    json: words.json === true,
    useRepo: words.useRepo,
    configFile: configFile === undefined ? undefined : resolve(workingDirectory, configFile),
    progress,
  };
}

function targetOf(words: RestoreWords, zone: LocalZone): RecoveryTarget {
  const { targetTime, targetLsn, targetXid, targetName, targetImmediate } = words;
  const given = [targetTime, targetLsn, targetXid, targetName].filter((one) => one !== undefined).length;
  if (given + Number(targetImmediate === true) > 1) {
    throw usage('more than one recovery target is given', 'Give one of the --target options.');
  }
  if (targetTime !== undefined) {
    const parsed = parseTargetTime(targetTime, zone);
    if (!parsed.ok)
      throw usage(`bad value for --target-time: ${parsed.message}`, 'Give the offset from UTC too: it is safest.');
    return { kind: 'time', time: parsed.target };
  }
  if (targetLsn !== undefined) {
    const lsn = parseLsn(targetLsn);
    if (lsn === undefined) throw usage(`bad value for --target-lsn: ${shown(targetLsn)}`, 'Write it as 0/3000060.');
    return { kind: 'lsn', lsn };
  }
  if (targetXid !== undefined) {
    if (!/^[0-9]{1,20}$/.test(targetXid))
      throw usage(`bad value for --target-xid: ${shown(targetXid)}`, 'Write a number.');
    return { kind: 'xid', xid: targetXid };
  }
  if (targetName !== undefined) {
    if (targetName === '' || Buffer.byteLength(targetName) > 63 || targetName.includes('\0')) {
      throw usage('bad value for --target-name', 'Restore points have names of 1 to 63 bytes.');
    }
    return { kind: 'name', name: targetName };
  }
  return targetImmediate === true ? { kind: 'immediate' } : { kind: 'end' };
}

function exclusiveOf({ targetExclusive }: RestoreWords, target: RecoveryTarget): boolean {
  if (targetExclusive !== true) return false;
  if (target.kind === 'time' || target.kind === 'lsn' || target.kind === 'xid') return true;
  throw usage(
    '--target-exclusive needs a time, an LSN or a transaction',
    'Add --target-time, --target-lsn or --target-xid.',
  );
}

function actionOf({ targetAction }: RestoreWords, target: RecoveryTarget): TargetAction {
  if (targetAction === undefined) return 'pause';
  if (target.kind === 'end')
    throw usage('--target-action needs a target', 'At the end of the WAL a server always promotes.');
  if (targetAction === 'pause' || targetAction === 'promote' || targetAction === 'shutdown') return targetAction;
  throw usage(`bad value for --target-action: ${shown(targetAction)}`, 'Use pause, promote or shutdown.');
}

function timelineOf(text: string | undefined): TimelineWish {
  if (text === undefined || text === 'latest') return { kind: 'newest' };
  if (text === 'current') return { kind: 'current' };
  const timeline = parseTimelineText(text);
  if (timeline === undefined)
    throw usage(`bad value for --target-timeline: ${shown(text)}`, 'Use a number, current or latest.');
  return { kind: 'number', timeline };
}

function backupOf(text: string | undefined): string {
  if (text === undefined) return 'any';
  if (text === 'latest' || parseBackupId(text) !== undefined) return text;
  throw usage(`bad value for --backup: ${shown(text)}`, 'Use latest, or an identifier as "walhold list" shows it.');
}

function archiveModeOf(text: string | undefined): 'preserve' | 'off' | undefined {
  if (text === undefined || text === 'preserve' || text === 'off') return text;
  throw usage(`bad value for --archive-mode: ${shown(text)}`, 'Use preserve or off.');
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 60));
}

function usage(message: string, hint: string): WalholdError {
  return new WalholdError('usage', message, { hint });
}
