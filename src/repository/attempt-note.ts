/**
 * `begun-<n>.json`: what an attempt to take a backup notes when it begins (FORMAT.md), so that a later one can take the backup up
 * again. Without it the position from which WAL must be replayed would be lost with the session that was told it.
 */
import { WalholdError } from '../base/errors.ts';
import { formatLsn, parseLsn, type Lsn } from '../postgres/lsn.ts';
import { parseIso } from '../postgres/timestamp.ts';
import { isTimelineId, type TimelineId } from '../postgres/timeline.ts';
import { Fields, isText } from './backup-record-fields.ts';
import type { ChangeSource } from './incremental-parent.ts';
import { parseBackupId, typeOfBackup, type BackupId } from './layout.ts';
import { openSealedJson, sealJson } from './sealed-json.ts';

export interface AttemptNote {
  systemId: bigint;
  backup: BackupId;
  /** From 1. Whoever creates the note of a number owns that attempt. */
  attempt: number;
  /** When, by the clock of the host; ISO 8601 UTC. */
  at: string;
  /** Who: `walhold 1.2.3 on host`. */
  by: string;
  /** Absolute, on `host`. */
  dataDirectory: string;
  host: string;
  /** By the server's clock, before its backup began. */
  startedAt: string;
  /** Where replay begins, and the checkpoint record that says so. */
  startLsn: Lsn;
  checkpointLsn: Lsn;
  timeline: TimelineId;
  catalogVersion: number;
  dataChecksums: boolean;
  inRecovery: boolean;
  /** Their names in `pg_tblspc`, in order. */
  tablespaces: readonly string[];
  /** The server's session that the backup was begun in: while it is there, the attempt runs. */
  session: { pid: number; startedAt: string };
  /** Of an incremental backup; older notes lack it. */
  increment: NotedIncrement | undefined;
}

/** What an incremental backup leaves out is decided by these and by where it starts. */
export interface NotedIncrement {
  parent: BackupId;
  changes: ChangeSource;
}

export const ATTEMPT_NOTE_MAX_BYTES: number = 64 * 1024;
const LONGEST_TEXT = 4096;
const MOST_TABLESPACES = 4_000;

export function formatAttemptNote({ systemId, startLsn, checkpointLsn, ...note }: AttemptNote): Buffer {
  const positions = { startLsn: formatLsn(startLsn), checkpointLsn: formatLsn(checkpointLsn) };
  const fields = { format: 1, systemId: systemId.toString(), ...note, ...positions };
  const known = Object.entries(fields).filter(([, value]) => value !== undefined);
  return sealJson(['{', ...known.map(([name, value]) => `"${name}": ${JSON.stringify(value)},`)]);
}

/** Untrusted input; `object` is for messages. Throws `bad-format` or `damaged`. */
export function parseAttemptNote(bytes: Uint8Array, object: string): AttemptNote {
  if (bytes.length > ATTEMPT_NOTE_MAX_BYTES) {
    throw new WalholdError('bad-format', `could not trust ${object}`, { detail: `it is ${bytes.length} bytes long` });
  }
  const fields = new Fields(openSealedJson(bytes, object), object, '');
  const session = fields.inner('session');
  const backup = readId(fields, 'backup');
  return {
    systemId: BigInt(fields.matching('systemId', /^[1-9][0-9]{0,19}$/)),
    backup,
    attempt: fields.number('attempt', 1, 999),
    at: readTime(fields, 'at'),
    by: fields.text('by', 300),
    dataDirectory: fields.text('dataDirectory', LONGEST_TEXT),
    host: fields.text('host', 300),
    startedAt: readTime(fields, 'startedAt'),
    startLsn: readLsn(fields, 'startLsn'),
    checkpointLsn: readLsn(fields, 'checkpointLsn'),
    timeline: fields.read('timeline', (value) =>
      typeof value === 'number' && isTimelineId(value) ? value : undefined,
    ),
    catalogVersion: fields.number('catalogVersion', 0, 0xffff_ffff),
    dataChecksums: fields.flag('dataChecksums'),
    inRecovery: fields.flag('inRecovery'),
    tablespaces: fields.list('tablespaces', MOST_TABLESPACES, (item, where) => {
      if (typeof item === 'string' && /^[1-9][0-9]{0,9}$/.test(item)) return item;
      throw fields.wrong(where);
    }),
    session: { pid: session.number('pid', 1, 0x7fff_ffff), startedAt: readTime(session, 'startedAt') },
    increment: fields.has('increment') ? readIncrement(fields, backup) : undefined,
  };
}

function readIncrement(fields: Fields, backup: BackupId): NotedIncrement {
  const inner = fields.inner('increment');
  const parent = readId(inner, 'parent');
  if (typeOfBackup(backup) === 'full' || parent >= backup) throw inner.wrong('parent');
  return { parent, changes: inner.read('changes', (value) => CHANGE_SOURCES.find((one) => one === value)) };
}

const CHANGE_SOURCES: readonly ChangeSource[] = ['wal-summaries', 'page-lsn'];

function readId(fields: Fields, name: string): BackupId {
  return fields.read(name, (value) => (isText(value, 40) ? parseBackupId(value) : undefined));
}

function readTime(fields: Fields, name: string): string {
  return fields.read(name, (value) => (isText(value, 40) && parseIso(value) !== undefined ? value : undefined));
}

function readLsn(fields: Fields, name: string): Lsn {
  return fields.read(name, (value) => (typeof value === 'string' ? parseLsn(value) : undefined));
}
