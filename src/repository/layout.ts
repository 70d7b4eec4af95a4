/**
 * Names and keys of the repository's format 1, both ways. Pure: the one place that knows where things lie (see FORMAT.md).
 */
import { parseTimelineHex, type TimelineId } from '../postgres/timeline.ts';
import { parseWalName, type WalFile } from '../postgres/wal-name.ts';

/** The identity: which cluster this repository belongs to. */
export const IDENTITY_KEY = 'walhold.json';
/** What `check` creates once, to see whether the store keeps its conditions; with `-checksum` appended, a second one may be there. */
export const PROBE_KEY = 'walhold.probe';
export const WAL_PREFIX = 'wal/';
export const BACKUP_PREFIX = 'backup/';
/** What `lock extend` leaves of its runs, and the marks of held backups. */
export const LOCK_PREFIX = 'lock/';
export const HOLD_PREFIX: string = `${LOCK_PREFIX}hold/`;
/** What runs of `expire` leave: which backups and segments they were about to remove. */
export const EXPIRED_PREFIX = 'expired/';
/** What drills have proven. */
export const DRILL_PREFIX = 'drill/';
/** Which logs were seen to be stored in whole. */
export const SEAL_PREFIX = 'seal/';

const ZST = '.zst';
const DIGEST_HEX = 16;

/** The directory of one timeline's segments: `wal/00000001/`. */
export function timelinePrefix(timelineHex: string): string {
  return `${WAL_PREFIX}${timelineHex}/`;
}

/** The directory of one 4 GiB log's segments: `wal/00000001/0000000100000000/`. `name`: a segment's, label's or partial's. */
export function logPrefix(name: string): string {
  return `${timelinePrefix(name.slice(0, 8))}${name.slice(0, 16)}/`;
}

/** The key of a WAL file. A `.partial` carries the first 16 hex digits of its plain content's SHA-256. */
export function walKey(file: Exclude<WalFile, { kind: 'partial' }>): string {
  return file.kind === 'history' ? `${WAL_PREFIX}${file.name}${ZST}` : `${logPrefix(file.name)}${file.name}${ZST}`;
}

/** The key of a `.partial` with that content; `sha256`: 64 hex digits. */
export function partialKey(file: Extract<WalFile, { kind: 'partial' }>, sha256: string): string {
  return `${logPrefix(file.name)}${file.name}.${sha256.slice(0, DIGEST_HEX)}${ZST}`;
}

/** Where every partial of a segment begins. */
export function partialPrefix(segment: string): string {
  return `${logPrefix(segment)}${segment}.partial.`;
}

/** What a key under `wal/` holds. */
export type WalObject = { key: string; file: WalFile; /** Of a partial: 16 hex digits. */ digest?: string };

/** The other way; `undefined` for anything that format 1 does not put there. */
export function parseWalKey(key: string): WalObject | undefined {
  if (!key.startsWith(WAL_PREFIX) || !key.endsWith(ZST)) return undefined;
  const base = key.slice(key.lastIndexOf('/') + 1, -ZST.length);
  const partial = /^([0-9A-F]{24}\.partial)\.([0-9a-f]{16})$/.exec(base);
  const file = parseWalName(partial?.[1] ?? base);
  if (file === undefined) return undefined;
  if (file.kind === 'partial') {
    const digest = partial?.[2];
    return digest !== undefined && partialKey(file, digest) === key ? { key, file, digest } : undefined;
  }
  return walKey(file) === key ? { key, file } : undefined;
}

/** The directory of log number `log` (the middle part of a segment's name). */
export function logDirectory(timelineHex: string, log: number): string {
  return logPrefix(timelineHex + log.toString(16).toUpperCase().padStart(8, '0'));
}

/** The other way; `undefined` for anything else. */
export function parseLogDirectory(prefix: string): { timeline: TimelineId; log: number } | undefined {
  const match = /^wal\/([0-9A-F]{8})\/\1([0-9A-F]{8})\/$/.exec(prefix);
  const timeline = parseTimelineHex(match?.[1] ?? '');
  return timeline === undefined ? undefined : { timeline, log: Number.parseInt(match?.[2] ?? '', 16) };
}

/** `20261122T174500Z-full`. Sorts by time. */
export type BackupId = string & { readonly __backupId: true };

export function parseBackupId(text: string): BackupId | undefined {
  return /^\d{8}T\d{6}Z-(full|incr)$/.test(text) ? (text as BackupId) : undefined;
}

/** The identifier of a backup that starts at `at`, to the second. */
export function backupId(at: Date, type: 'full' | 'incremental'): BackupId {
  return `${stampOf(at)}-${type === 'full' ? 'full' : 'incr'}` as BackupId;
}

export function typeOfBackup(id: BackupId): 'full' | 'incremental' {
  return id.endsWith('-full') ? 'full' : 'incremental';
}

/** When the backup of this identifier began, by the clock of the host that took it; ms since 1970. */
export function startOfBackupId(id: BackupId): number {
  return Date.parse(id.replace(/^(....)(..)(..)T(..)(..)(..)Z-.*$/, '$1-$2-$3T$4:$5:$6Z'));
}

/** `20261122T174500Z`, to the second. */
function stampOf(at: Date): string {
  return `${at.toISOString().slice(0, 19).replaceAll('-', '').replaceAll(':', '')}Z`;
}

/** The record of a run of `lock extend`; see `lock/lock-record.ts`. Sorts by time. */
export function lockRecordKey(at: Date): string {
  return `${LOCK_PREFIX}${stampOf(at)}.json`;
}

export function isLockRecordKey(key: string): boolean {
  return /^lock\/\d{8}T\d{6}Z\.json$/.test(key);
}

/** The record of a run of `expire`; see `retention/expired-record.ts`. Sorts by time. */
export function expiredKey(at: Date): string {
  return `${EXPIRED_PREFIX}${stampOf(at)}.json`;
}

export function isExpiredKey(key: string): boolean {
  return /^expired\/\d{8}T\d{6}Z\.json$/.test(key);
}

/** The mark of a held backup: held itself for as long as the backup is. */
export function holdKey(id: BackupId): string {
  return `${HOLD_PREFIX}${id}.json`;
}

/** What a drill that began at this time has found; see `drill-record.ts`. Sorts by time. */
export function drillKey(at: Date): string {
  return `${DRILL_PREFIX}${stampOf(at)}.json`;
}

export function isDrillKey(key: string): boolean {
  return /^drill\/\d{8}T\d{6}Z\.json$/.test(key);
}

/** What a run saw to be stored in whole; see `seal-record.ts`. Sorts by time. */
export function sealKey(at: Date): string {
  return `${SEAL_PREFIX}${stampOf(at)}.json`;
}

export function isSealKey(key: string): boolean {
  return /^seal\/\d{8}T\d{6}Z\.json$/.test(key);
}

export function backupPrefix(id: BackupId): string {
  return `${BACKUP_PREFIX}${id}/`;
}

/** Keys inside one backup. Parts are numbered from 1. */
export function partKey(id: BackupId, part: number): string {
  return `${backupPrefix(id)}part-${part}.tar${ZST}`;
}
export function manifestKey(id: BackupId): string {
  return `${backupPrefix(id)}backup_manifest${ZST}`;
}
export function configKey(id: BackupId): string {
  return `${backupPrefix(id)}config.tar${ZST}`;
}
/** What an attempt to take the backup (from 1) noted when it began; see `attempt-note.ts`. */
export function attemptKey(id: BackupId, attempt: number): string {
  return `${backupPrefix(id)}begun-${attempt}.json`;
}
/** Written last: a backup without it does not exist. */
export function commitKey(id: BackupId): string {
  return `${backupPrefix(id)}backup.json`;
}

/** What a key inside a backup names by a number; `undefined`: something else. */
export function parseNumberedKey(key: string): { kind: 'part' | 'attempt'; number: number } | undefined {
  const name = key.slice(key.lastIndexOf('/') + 1);
  const [, part, attempt] = /^(?:part-([1-9]\d{0,6})\.tar\.zst|begun-([1-9]\d{0,2})\.json)$/.exec(name) ?? [];
  if (part !== undefined) return { kind: 'part', number: Number(part) };
  return attempt === undefined ? undefined : { kind: 'attempt', number: Number(attempt) };
}
