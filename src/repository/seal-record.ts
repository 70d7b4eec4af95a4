/**
 * A seal: which logs (4 GiB of WAL, one directory each) a run saw to be stored in whole, with every segment (FORMAT.md). It spares
 * readers the listing of millions of names, and is never the proof of anything: whoever may create objects can write one. So
 * readers ask the store for a few of the logs that it names, and nothing is removed, locked or restored by its word. Pure.
 */
import { WalholdError } from '../base/errors.ts';
import { parseIso } from '../postgres/timestamp.ts';
import { formatTimeline, parseTimelineHex, type TimelineId } from '../postgres/timeline.ts';
import { isSegmentSize } from '../postgres/wal-name.ts';
import { Fields, isText, isWhole } from './backup-record-fields.ts';
import { openSealedJson, sealJson } from './sealed-json.ts';

export interface SealRecord {
  systemId: bigint;
  /** By the store's clock. */
  at: Date;
  by: string;
  segmentBytes: number;
  logs: SealedLogs;
}

/** By timeline and log number: when the first segment of the log was stored, in ms since 1970 by the store's clock. */
export type SealedLogs = ReadonlyMap<TimelineId, ReadonlyMap<number, number>>;

/** Four petabytes of WAL. */
const MOST_LOGS = 1_000_000;
export const SEAL_MAX_BYTES: number = 32 * 1024 * 1024;
const LAST_LOG = 0xffff_ffff;
/** What a `Date` can hold. */
const LAST_TIME = 8.64e15;

export function formatSealRecord({ systemId, at, by, segmentBytes, logs }: SealRecord): Buffer {
  const lines = ['{'];
  const head = { format: 1, systemId: String(systemId), at: at.toISOString(), by, segmentBytes };
  for (const [name, value] of Object.entries(head)) lines.push(`"${name}": ${JSON.stringify(value)},`);
  const rows = [...logs]
    .sort(([a], [b]) => a - b)
    .flatMap(([timeline, each]) => rowsOf(each).map((row) => [formatTimeline(timeline), hexOf(row.first), row.times]));
  lines.push('"logs": [', ...rows.map((row, at) => JSON.stringify(row) + (at === rows.length - 1 ? '' : ',')), '],');
  return sealJson(lines);
}

/** Untrusted input: everything is bounded, each log is named once. Throws `bad-format` or `damaged`. */
export function parseSealRecord(bytes: Uint8Array, object: string): SealRecord {
  if (bytes.length > SEAL_MAX_BYTES) {
    throw new WalholdError('bad-format', `could not trust ${object}`, { detail: `it is ${bytes.length} bytes long` });
  }
  const fields = new Fields(openSealedJson(bytes, object), object, '');
  const segmentBytes = fields.number('segmentBytes');
  if (!isSegmentSize(segmentBytes)) throw fields.wrong('segmentBytes');
  const logs = new Map<TimelineId, Map<number, number>>();
  let count = 0;
  fields.list('logs', MOST_LOGS, (item, where) => {
    const row = readRow(item);
    const known = row === undefined ? undefined : (logs.get(row.timeline) ?? new Map<number, number>());
    count += row?.times.length ?? 0;
    if (row === undefined || known === undefined || count > MOST_LOGS) throw fields.wrong(where);
    for (const [index, time] of row.times.entries()) {
      if (known.has(row.first + index)) throw fields.wrong(where);
      known.set(row.first + index, time);
    }
    logs.set(row.timeline, known);
  });
  return {
    systemId: BigInt(fields.matching('systemId', /^[1-9][0-9]{0,19}$/)),
    at: fields.read('at', readTime),
    by: fields.text('by', 300),
    segmentBytes,
    logs,
  };
}

/** Logs in a row. */
interface Row {
  first: number;
  times: number[];
}

function rowsOf(logs: ReadonlyMap<number, number>): Row[] {
  const rows: Row[] = [];
  for (const [log, time] of [...logs].sort(([a], [b]) => a - b)) {
    const open = rows.at(-1);
    if (open !== undefined && open.first + open.times.length === log) open.times.push(time);
    else rows.push({ first: log, times: [time] });
  }
  return rows;
}

function readRow(item: unknown): (Row & { timeline: TimelineId }) | undefined {
  if (!Array.isArray(item)) return undefined;
  const [hex, log, times, ...more] = item as unknown[];
  const timeline = isText(hex, 8) ? parseTimelineHex(hex) : undefined;
  if (timeline === undefined || !isText(log, 8) || !/^[0-9A-F]{8}$/.test(log) || more.length > 0) return undefined;
  const first = Number.parseInt(log, 16);
  if (!Array.isArray(times) || times.length === 0 || first + times.length - 1 > LAST_LOG) return undefined;
  if (!(times as unknown[]).every((time): time is number => isWhole(time, 0, LAST_TIME))) return undefined;
  return { timeline, first, times: times as number[] };
}

function readTime(value: unknown): Date | undefined {
  const micros = isText(value, 40) ? parseIso(value) : undefined;
  return micros === undefined ? undefined : new Date(Number(micros / 1000n));
}

function hexOf(log: number): string {
  return log.toString(16).toUpperCase().padStart(8, '0');
}
