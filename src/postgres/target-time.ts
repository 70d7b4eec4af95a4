/** A moment that the operator named. */
export interface TargetTime {
  /** Microseconds since 1970-01-01 UTC. */
  readonly unixMicros: bigint;
  /** Of the text's own zone, or of the local one at that moment: how it is written back. */
  readonly offsetMinutes: number;
}

export type TargetTimeResult =
  { readonly ok: true; readonly target: TargetTime } | { readonly ok: false; readonly message: string };

/** Minutes east of UTC that the local clock shows at a moment, given in milliseconds since 1970. */
export type LocalZone = (unixMs: number) => number;

/** The zone of this host: the TZ variable, else the system's. */
export const hostZone: LocalZone = (unixMs) => -new Date(unixMs).getTimezoneOffset();

const SHAPE =
  /^([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[ T]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?)?(?: ?(Z|UTC|GMT|[-+][0-9]{2}(?::?[0-9]{2})?))?$/i;
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/**
 * Reads a `--target-time`: `2026-11-22 17:45:00.123+01`, `2026-11-22T16:45Z`, or without a zone in local time. Digits past
 * microseconds are cut off, never rounded up past a commit. A local time that the clock skips or shows twice is refused:
 * an hour's guess could lose an hour's data.
 */
export function parseTargetTime(text: string, local: LocalZone): TargetTimeResult {
  const match = SHAPE.exec(text.trim());
  if (match === null) {
    return wrong(`"${text.slice(0, 60)}" is not a time like 2026-11-22 17:45:00+01`);
  }
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match
    .slice(1, 7)
    .map((part) => Number(part ?? 0));
  const asUtc = utcOf(year, month, day, hour, minute, second);
  if (asUtc === undefined) return wrong(`"${text.trim()}" is no time that a calendar has`);
  if (year < 2000) return wrong(`"${text.trim()}" is before 2000-01-01, where PostgreSQL's clock starts`);
  const fraction = BigInt((match[7] ?? '').padEnd(6, '0').slice(0, 6));
  const zone = match[8];
  if (zone === undefined) return localTarget(text.trim(), asUtc, fraction, local);
  const offsetMinutes = offsetOf(zone);
  if (offsetMinutes === undefined) return wrong(`"${zone}" is no offset from UTC`);
  return found(asUtc - offsetMinutes * MINUTE_MS, fraction, offsetMinutes);
}

/** As `recovery_target_time` takes it, with its offset: `2026-11-22 17:45:00.123000+01:00`. */
export function formatTargetTime({ unixMicros, offsetMinutes }: TargetTime): string {
  const ms = unixMicros / 1000n;
  const shifted = new Date(Number(ms) + offsetMinutes * MINUTE_MS).toISOString();
  const micros = String(unixMicros % 1000n).padStart(3, '0');
  return `${shifted.slice(0, 10)} ${shifted.slice(11, 23)}${micros}${formatOffset(offsetMinutes)}`;
}

function localTarget(text: string, asUtc: number, fraction: bigint, local: LocalZone): TargetTimeResult {
  const [offset, other] = possibleOffsets(asUtc, local);
  if (offset === undefined) {
    return wrong(`"${text}" does not exist in the local time zone: give its offset from UTC`);
  }
  if (other !== undefined) {
    const both = `${formatOffset(offset)} or ${formatOffset(other)}`;
    return wrong(`"${text}" happens twice in the local time zone: give its offset from UTC, ${both}`);
  }
  return found(asUtc - offset * MINUTE_MS, fraction, offset);
}

/** The offsets under which the local clock shows this reading, of those in force a day around it. */
function possibleOffsets(asUtc: number, local: LocalZone): number[] {
  const near = new Set([-1, 0, 1].map((days) => local(asUtc + days * DAY_MS)));
  return [...near].filter((offset) => local(asUtc - offset * MINUTE_MS) === offset);
}

function utcOf(
  year: number,
  month: number,
  day: number,
  hour: number,
  minute: number,
  second: number,
): number | undefined {
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  const kept =
    date.getUTCMonth() === month - 1 &&
    date.getUTCDate() === day &&
    date.getUTCHours() === hour &&
    minute < 60 &&
    second < 60;
  return kept ? date.getTime() : undefined;
}

function offsetOf(zone: string): number | undefined {
  if (!/^[-+]/.test(zone)) return 0;
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(3).replace(':', ''));
  if (hours > 15 || minutes > 59) return undefined;
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes);
}

function formatOffset(offsetMinutes: number): string {
  const size = Math.abs(offsetMinutes);
  const hours = String(Math.floor(size / 60)).padStart(2, '0');
  return `${offsetMinutes < 0 ? '-' : '+'}${hours}:${String(size % 60).padStart(2, '0')}`;
}

function found(ms: number, fraction: bigint, offsetMinutes: number): TargetTimeResult {
  return { ok: true, target: { unixMicros: BigInt(ms) * 1000n + fraction, offsetMinutes } };
}

function wrong(message: string): TargetTimeResult {
  return { ok: false, message };
}
