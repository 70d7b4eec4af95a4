/** Microseconds between 1970-01-01 and 2000-01-01 UTC, where PostgreSQL counts from. */
const PG_EPOCH_MICROS = 946_684_800_000_000n;
const MICROS_PER_MS = 1000n;

/** Microseconds since 1970-01-01 UTC of a TimestampTz as WAL holds it (microseconds since 2000-01-01). */
export function fromPgMicros(pgMicros: bigint): bigint {
  return pgMicros + PG_EPOCH_MICROS;
}

/** The TimestampTz of a moment given in microseconds since 1970-01-01 UTC. */
export function toPgMicros(unixMicros: bigint): bigint {
  return unixMicros - PG_EPOCH_MICROS;
}

export function microsFromMs(ms: number): bigint {
  return BigInt(ms) * MICROS_PER_MS;
}

/**
 * `2026-11-22T17:45:00.123456Z`: ISO 8601 in UTC with microseconds, from microseconds since 1970. `undefined`: outside
 * the years 1 to 9999, which no commit's time is unless it was read from garbage.
 */
export function formatIso(unixMicros: bigint): string | undefined {
  const ms = floorDivide(unixMicros, MICROS_PER_MS);
  const date = new Date(Number(ms));
  if (Number.isNaN(date.getTime()) || date.getUTCFullYear() < 1 || date.getUTCFullYear() > 9999) return undefined;
  const micros = String(unixMicros - ms * MICROS_PER_MS).padStart(3, '0');
  return `${date.toISOString().slice(0, -1)}${micros}Z`;
}

/** Reads what formatIso writes, with 0 to 6 decimals, to microseconds since 1970. `undefined`: not such a text. */
export function parseIso(text: string): bigint | undefined {
  const match = /^([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,6}))?Z$/.exec(text);
  if (match === null) return undefined;
  const ms = Date.parse(`${match[1]}Z`);
  // Date takes the 30th of February for the 2nd of March.
  if (Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 19) !== match[1]) return undefined;
  return BigInt(ms) * MICROS_PER_MS + BigInt((match[2] ?? '').padEnd(6, '0'));
}

function floorDivide(a: bigint, b: bigint): bigint {
  return a >= 0n ? a / b : (a - b + 1n) / b;
}
