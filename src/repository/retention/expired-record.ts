/**
 * What a run of `expire` leaves, before it removes anything: the backups that it is about to remove, and all the WAL that was given up
 * so far, as ranges (FORMAT.md). By it a run that was broken off is finished by the next one, and a hole between what stays is
 * known not to be a loss.
 */
import { WalholdError } from '../../base/errors.ts';
import type { TimelineId } from '../../postgres/timeline.ts';
import { isSegmentSize, parseWalName, segmentName, segmentNumber } from '../../postgres/wal-name.ts';
import { parseIso } from '../../postgres/timestamp.ts';
import { Fields, isText } from '../backup-record-fields.ts';
import { parseBackupId, type BackupId } from '../layout.ts';
import { openSealedJson, sealJson } from '../sealed-json.ts';
import type { SegmentRun } from '../segment-runs.ts';

export interface ExpiredRecord {
  systemId: bigint;
  /** By the store's clock. */
  at: Date;
  by: string;
  segmentBytes: number;
  /** Backups and unfinished uploads that this run gave up. */
  backups: readonly BackupId[];
  /** Segments that this run or an earlier one gave up. What of them is locked may be there still. */
  wal: readonly ExpiredRange[];
}

/** Segments of one timeline in a row, both ends included. */
export interface ExpiredRange extends SegmentRun {
  readonly timeline: TimelineId;
}

const MOST_BACKUPS = 1_000_000;
const MOST_RANGES = 100_000;
export const EXPIRED_MAX_BYTES: number = 64 * 1024 * 1024;

export function formatExpiredRecord({ systemId, at, by, segmentBytes, backups, wal }: ExpiredRecord): Buffer {
  const lines = ['{'];
  const head = { format: 1, systemId: String(systemId), at: at.toISOString(), by, segmentBytes };
  for (const [name, value] of Object.entries(head)) lines.push(`"${name}": ${JSON.stringify(value)},`);
  const rows = wal.map(({ timeline, first, last }) =>
    JSON.stringify([segmentName(timeline, first, segmentBytes), segmentName(timeline, last, segmentBytes)]),
  );
  lines.push('"backups": [', ...listed(backups.map((id) => JSON.stringify(id))), '],');
  lines.push('"wal": [', ...listed(rows), '],');
  return sealJson(lines);
}

function listed(rows: readonly string[]): string[] {
  return rows.map((row, at) => (at === rows.length - 1 ? row : `${row},`));
}

/** Untrusted input: everything is bounded, names and times are checked. Throws `bad-format` or `damaged`. */
export function parseExpiredRecord(bytes: Uint8Array, object: string): ExpiredRecord {
  if (bytes.length > EXPIRED_MAX_BYTES) {
    throw new WalholdError('bad-format', `could not trust ${object}`, { detail: `it is ${bytes.length} bytes long` });
  }
  const fields = new Fields(openSealedJson(bytes, object), object, '');
  const segmentBytes = fields.number('segmentBytes');
  if (!isSegmentSize(segmentBytes)) throw fields.wrong('segmentBytes');
  return {
    systemId: BigInt(fields.matching('systemId', /^[1-9][0-9]{0,19}$/)),
    at: fields.read('at', readTime),
    by: fields.text('by', 300),
    segmentBytes,
    backups: fields.list('backups', MOST_BACKUPS, (value, where) => {
      const id = isText(value, 100) ? parseBackupId(value) : undefined;
      if (id === undefined) throw fields.wrong(where);
      return id;
    }),
    wal: fields.list('wal', MOST_RANGES, (value, where) => {
      const range = readRange(value, segmentBytes);
      if (range === undefined) throw fields.wrong(where);
      return range;
    }),
  };
}

function readRange(value: unknown, segmentBytes: number): ExpiredRange | undefined {
  if (!Array.isArray(value) || value.length !== 2) return undefined;
  const [first, last] = (value as unknown[]).map((name) => {
    const file = isText(name, 24) ? parseWalName(name) : undefined;
    const segno = file?.kind === 'segment' ? segmentNumber(file, segmentBytes) : undefined;
    return file?.kind === 'segment' && segno !== undefined ? { timeline: file.timeline, segno } : undefined;
  });
  if (first === undefined || last === undefined) return undefined;
  if (first.timeline !== last.timeline || first.segno > last.segno) return undefined;
  return { timeline: first.timeline, first: first.segno, last: last.segno };
}

function readTime(value: unknown): Date | undefined {
  const micros = isText(value, 40) ? parseIso(value) : undefined;
  return micros === undefined ? undefined : new Date(Number(micros / 1000n));
}
