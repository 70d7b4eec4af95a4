/**
 * What a run of `lock extend` leaves: what it saw to be locked until when, by directories (FORMAT.md). It spares later runs asking
 * again, and is never the proof of anything: runs ask the store for a slice of what it says (`slice.ts`), and one line that is not
 * so makes the whole record count for nothing.
 */
import { WalholdError } from '../../base/errors.ts';
import { isSegmentSize } from '../../postgres/wal-name.ts';
import { parseIso } from '../../postgres/timestamp.ts';
import type { RetentionMode } from '../../store/store.ts';
import { Fields, isText, isWhole } from '../backup-record-fields.ts';
import { BACKUP_PREFIX, parseBackupId, parseLogDirectory } from '../layout.ts';
import { openSealedJson, sealJson } from '../sealed-json.ts';

export interface LockRecord {
  systemId: bigint;
  /** By the store's clock. */
  at: Date;
  by: string;
  segmentBytes: number;
  /** By the directory's prefix: a log directory's or a backup's. */
  claims: ReadonlyMap<string, Claim>;
}

/** Every object that lay in a directory was protected at least so. */
export interface Claim {
  /** Whether all was there that ever comes: of a log directory every segment. Others have to be listed again. */
  whole: boolean;
  objects: number;
  bytes: number;
  /** The earliest and the latest lock end among them, to the second. */
  until: Date;
  latest: Date;
  /** The weakest among them. */
  mode: RetentionMode;
}

/** A century of a busy cluster. */
const MOST_CLAIMS = 1_000_000;
export const LOCK_RECORD_MAX_BYTES: number = 128 * 1024 * 1024;

const MODES: readonly RetentionMode[] = ['governance', 'compliance', 'policy', 'read-only', 'immutable'];

export function formatLockRecord({ systemId, at, by, segmentBytes, claims }: LockRecord): Buffer {
  const lines = ['{'];
  const head = { format: 1, systemId: String(systemId), at: at.toISOString(), by, segmentBytes };
  for (const [name, value] of Object.entries(head)) lines.push(`"${name}": ${JSON.stringify(value)},`);
  lines.push('"directories": [');
  const rows = [...claims].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  for (const [index, [prefix, claim]] of rows.entries()) {
    const { whole, objects, bytes, until, latest, mode } = claim;
    const row = JSON.stringify([prefix, whole, objects, bytes, seconds(until), seconds(latest), mode]);
    lines.push(index === rows.length - 1 ? row : `${row},`);
  }
  lines.push('],');
  return sealJson(lines);
}

/** Untrusted input: everything is bounded, names and times are checked. Throws `bad-format` or `damaged`. */
export function parseLockRecord(bytes: Uint8Array, object: string): LockRecord {
  if (bytes.length > LOCK_RECORD_MAX_BYTES) {
    throw new WalholdError('bad-format', `could not trust ${object}`, { detail: `it is ${bytes.length} bytes long` });
  }
  const fields = new Fields(openSealedJson(bytes, object), object, '');
  const segmentBytes = fields.number('segmentBytes');
  if (!isSegmentSize(segmentBytes)) throw fields.wrong('segmentBytes');
  const claims = new Map<string, Claim>();
  fields.list('directories', MOST_CLAIMS, (item, where) => {
    const read = readClaim(item);
    if (read === undefined || claims.has(read.prefix)) throw fields.wrong(where);
    claims.set(read.prefix, read.claim);
  });
  return {
    systemId: BigInt(fields.matching('systemId', /^[1-9][0-9]{0,19}$/)),
    at: fields.read('at', (value) => readTime(value)),
    by: fields.text('by', 300),
    segmentBytes,
    claims,
  };
}

function readClaim(item: unknown): { prefix: string; claim: Claim } | undefined {
  if (!Array.isArray(item)) return undefined;
  const [prefix, whole, objects, bytes, earliest, last, kind, ...more] = item as unknown[];
  const until = readTime(earliest);
  const latest = readTime(last);
  const mode = MODES.find((one) => one === kind);
  if (!isText(prefix, 100) || !isDirectory(prefix) || !isWhole(objects, 1) || !isWhole(bytes)) return undefined;
  if (typeof whole !== 'boolean') return undefined;
  if (until === undefined || latest === undefined || latest < until || mode === undefined || more.length > 0)
    return undefined;
  return { prefix, claim: { whole, objects, bytes, until, latest, mode } };
}

function isDirectory(prefix: string): boolean {
  if (prefix.startsWith(BACKUP_PREFIX) && prefix.endsWith('/'))
    return parseBackupId(prefix.slice(BACKUP_PREFIX.length, -1)) !== undefined;
  return parseLogDirectory(prefix) !== undefined;
}

function readTime(value: unknown): Date | undefined {
  const micros = isText(value, 40) ? parseIso(value) : undefined;
  return micros === undefined ? undefined : new Date(Number(micros / 1000n));
}

function seconds(at: Date): string {
  return at.getTime() > LATEST ? LATEST_TEXT : `${at.toISOString().slice(0, 19)}Z`;
}

/** Of what never ends: the last moment with a year of four digits. */
const LATEST_TEXT = '9999-12-31T23:59:59Z';
const LATEST = Date.parse(LATEST_TEXT);
