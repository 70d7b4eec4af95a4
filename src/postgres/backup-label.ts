import { WalholdError } from '../base/errors.ts';
import { formatLsn, parseLsn, type Lsn } from './lsn.ts';
import { isTimelineId, type TimelineId } from './timeline.ts';

/** What a `backup_label` says (build_backup_content, access/transam/xlogbackup.c). */
export interface BackupLabel {
  readonly startLsn: Lsn;
  /** The segment that `startLsn` lies in, 24 digits. */
  readonly startSegment: string;
  readonly checkpointLsn: Lsn;
  /** `streamed`: by the low-level API or pg_basebackup. */
  readonly method: string;
  /** `primary` (13: `master`) or `standby`. */
  readonly from: string;
  /** As the server wrote it, in its log time zone; for people. */
  readonly startTime: string;
  readonly label: string;
  readonly startTimeline: TimelineId;
  /** Of an incremental backup (17+): where its parent began. */
  readonly incrementalFrom: { readonly lsn: Lsn; readonly timeline: TimelineId } | undefined;
}

/** What the `.backup` file in the archive adds, written when the backup had ended. */
export interface BackupHistory extends BackupLabel {
  readonly stopLsn: Lsn;
  readonly stopSegment: string;
  readonly stopTime: string;
  readonly stopTimeline: TimelineId;
}

const MOST_BYTES = 64 * 1024;

/** Reads the text of a `backup_label`. Lines it does not know are passed over. Throws `bad-format`. */
export function parseBackupLabel(text: string): BackupLabel {
  return readLabel(fieldsOf(text, 'backup_label'));
}

/** Reads the text of a `SEGMENT.OFFSET.backup` file. Throws `bad-format`. */
export function parseBackupHistory(text: string): BackupHistory {
  const fields = fieldsOf(text, 'backup history file');
  const stop = fields.location('STOP WAL LOCATION');
  return {
    ...readLabel(fields),
    stopLsn: stop.lsn,
    stopSegment: stop.segment,
    stopTime: fields.text('STOP TIME'),
    stopTimeline: fields.timeline('STOP TIMELINE'),
  };
}

/** Whether a label is an incremental backup's: the server refuses to start from one before pg_combinebackup has joined it. */
export function isIncrementalLabel(label: BackupLabel): boolean {
  return label.incrementalFrom !== undefined;
}

/** The label of a backup as that of an incremental one, whose parent began there (build_backup_content, access/transam/xlogbackup.c of 17). */
export function incrementalLabel(label: Buffer, { lsn, timeline }: { lsn: Lsn; timeline: TimelineId }): Buffer {
  return Buffer.concat([
    label,
    Buffer.from(`INCREMENTAL FROM LSN: ${formatLsn(lsn)}\nINCREMENTAL FROM TLI: ${timeline}\n`),
  ]);
}

function readLabel(fields: Fields): BackupLabel {
  const start = fields.location('START WAL LOCATION');
  return {
    startLsn: start.lsn,
    startSegment: start.segment,
    checkpointLsn: fields.lsn('CHECKPOINT LOCATION'),
    method: fields.text('BACKUP METHOD'),
    from: fields.text('BACKUP FROM'),
    startTime: fields.text('START TIME'),
    label: fields.text('LABEL'),
    startTimeline: fields.timeline('START TIMELINE'),
    incrementalFrom: fields.has('INCREMENTAL FROM LSN')
      ? { lsn: fields.lsn('INCREMENTAL FROM LSN'), timeline: fields.timeline('INCREMENTAL FROM TLI') }
      : undefined,
  };
}

interface Fields {
  has: (key: string) => boolean;
  text: (key: string) => string;
  lsn: (key: string) => Lsn;
  timeline: (key: string) => TimelineId;
  location: (key: string) => { lsn: Lsn; segment: string };
}

function fieldsOf(text: string, file: string): Fields {
  if (text.length > MOST_BYTES) throw new WalholdError('bad-format', `${file} is ${text.length} characters long`);
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^([A-Z][A-Z ]*): (.*)$/.exec(line);
    if (match === null) continue;
    const [, key = '', value = ''] = match;
    // A label may hold line breaks and so imitate a field: two of one kind are never guessed between.
    if (values.has(key)) throw new WalholdError('bad-format', `${file} has two lines ${key}`);
    values.set(key, value);
  }
  const required = (key: string): string => {
    const value = values.get(key);
    if (value === undefined) throw new WalholdError('bad-format', `${file} has no line ${key}`);
    return value;
  };
  const wrong = (key: string): WalholdError => new WalholdError('bad-format', `${file} has a wrong line ${key}`);
  const position = (key: string, value: string): Lsn => {
    const found = parseLsn(value);
    if (found === undefined) throw wrong(key);
    return found;
  };
  return {
    has: (key) => values.has(key),
    text: required,
    lsn: (key) => position(key, required(key)),
    timeline: (key) => {
      const value = required(key);
      const number = /^[0-9]{1,10}$/.test(value) ? Number(value) : 0;
      if (!isTimelineId(number)) throw wrong(key);
      return number;
    },
    location: (key) => {
      const match = /^(\S+) \(file ([0-9A-F]{24})\)$/.exec(required(key));
      if (match === null) throw wrong(key);
      return { lsn: position(key, match[1] ?? ''), segment: match[2] ?? '' };
    },
  };
}
