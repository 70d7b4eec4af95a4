/** What a drill leaves in the repository (FORMAT.md): that recovery was tried, when, of which backup, and how it went. */
import { WalholdError } from '../base/errors.ts';
import { parseIso } from '../postgres/timestamp.ts';
import { Fields, isText } from './backup-record-fields.ts';
import { parseBackupId, type BackupId } from './layout.ts';
import { openSealedJson, sealJson } from './sealed-json.ts';

export interface DrillRecord {
  systemId: bigint;
  /** When it began, by the store's clock. */
  at: Date;
  by: string;
  ok: boolean;
  backup: BackupId;
  /** What was recovered to, in words. */
  target: string;
  targetReached: boolean;
  /** Until the recovered server took queries; all in seconds, `undefined`: it did not come to that. */
  rtoSeconds: number | undefined;
  restoreSeconds: number | undefined;
  replaySeconds: number | undefined;
  /** ISO 8601 UTC, as the server said. */
  lastCommitAt: string | undefined;
  rpoSeconds: number | undefined;
  /** Of the files that were restored, and of the stored WAL that was to be replayed; `undefined`: made before drills told it. */
  bytes: number | undefined;
  walBytes: number | undefined;
  checks: readonly DrillCheck[];
}

export interface DrillCheck {
  name: string;
  ok: boolean;
  /** What was found. */
  detail: string;
}

export const DRILL_RECORD_MAX_BYTES: number = 1024 * 1024;
export const MOST_CHECKS = 1000;
export const LONGEST_NAME = 100;
export const LONGEST_DETAIL = 500;
const LONGEST_SECONDS = 1e9;

export function formatDrillRecord(record: DrillRecord): Buffer {
  const { systemId, at, checks, ...rest } = record;
  const lines = ['{'];
  const head = { format: 1, systemId: String(systemId), at: at.toISOString(), ...rest };
  for (const [name, value] of Object.entries(head)) lines.push(`"${name}": ${JSON.stringify(value ?? null)},`);
  lines.push('"checks": [');
  for (const [index, check] of checks.entries()) {
    lines.push(`${JSON.stringify(check)}${index === checks.length - 1 ? '' : ','}`);
  }
  lines.push('],');
  return sealJson(lines);
}

/** Untrusted input. Throws `bad-format` or `damaged`. */
export function parseDrillRecord(bytes: Uint8Array, object: string): DrillRecord {
  if (bytes.length > DRILL_RECORD_MAX_BYTES) {
    throw new WalholdError('bad-format', `could not trust ${object}`, { detail: `it is ${bytes.length} bytes long` });
  }
  const fields = new Fields(openSealedJson(bytes, object), object, '');
  const seconds = (name: string): number | undefined =>
    fields.isNull(name) ? undefined : fields.read(name, (value) => (isSeconds(value) ? value : undefined));
  const amount = (name: string): number | undefined =>
    fields.has(name) && !fields.isNull(name) ? fields.number(name) : undefined;
  const time = (value: unknown): string | undefined =>
    isText(value, 40) && parseIso(value) !== undefined ? value : undefined;
  return {
    systemId: BigInt(fields.matching('systemId', /^[1-9][0-9]{0,19}$/)),
    at: fields.read('at', (value) => dateOf(time(value))),
    by: fields.text('by', 300),
    ok: fields.flag('ok'),
    backup: fields.read('backup', (value) => (isText(value, 40) ? parseBackupId(value) : undefined)),
    target: fields.text('target', LONGEST_DETAIL),
    targetReached: fields.flag('targetReached'),
    rtoSeconds: seconds('rtoSeconds'),
    restoreSeconds: seconds('restoreSeconds'),
    replaySeconds: seconds('replaySeconds'),
    lastCommitAt: fields.isNull('lastCommitAt') ? undefined : fields.read('lastCommitAt', time),
    rpoSeconds: seconds('rpoSeconds'),
    bytes: amount('bytes'),
    walBytes: amount('walBytes'),
    checks: fields.list('checks', MOST_CHECKS, (item, where) => {
      const check = new Fields(item, object, where);
      return {
        name: check.text('name', LONGEST_NAME),
        ok: check.flag('ok'),
        detail: check.text('detail', LONGEST_DETAIL),
      };
    }),
  };
}

/** A clock that goes wrong can make any of them negative, and the record shall say so. */
function isSeconds(value: unknown): value is number {
  return typeof value === 'number' && Math.abs(value) <= LONGEST_SECONDS;
}

function dateOf(iso: string | undefined): Date | undefined {
  const micros = iso === undefined ? undefined : parseIso(iso);
  return micros === undefined ? undefined : new Date(Number(micros / 1000n));
}
