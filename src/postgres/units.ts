/** A number read, or the text of what is wrong with it, ready for a message. */
export type Measure = { readonly ok: true; readonly value: number } | { readonly ok: false; readonly message: string };

export type SizeUnit = 'B' | 'kB' | 'MB' | 'GB' | 'TB';
export type TimeUnit = 'us' | 'ms' | 's' | 'min' | 'h' | 'd';

/** In bytes. */
const SIZES: Readonly<Record<SizeUnit, number>> = { B: 1, kB: 1024, MB: 1024 ** 2, GB: 1024 ** 3, TB: 1024 ** 4 };
/** In milliseconds. */
const TIMES: Readonly<Record<TimeUnit, number>> = {
  us: 0.001,
  ms: 1,
  s: 1000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/**
 * Reads a size in PostgreSQL's form (`16MB`, `1.5 GB`; units B, kB, MB, GB, TB with their case) to whole bytes.
 * A number without a unit takes `bareUnit`; without that it is refused, except 0.
 */
export function parseSize(text: string, bareUnit?: SizeUnit): Measure {
  return parseMeasure(text, SIZES, bareUnit);
}

/**
 * Reads a time span in PostgreSQL's form (`30s`, `5 min`, `365d`; units us, ms, s, min, h, d) to whole milliseconds.
 * A number without a unit takes `bareUnit`; without that it is refused, except 0.
 */
export function parseTime(text: string, bareUnit?: TimeUnit): Measure {
  return parseMeasure(text, TIMES, bareUnit);
}

/** Bytes in the largest unit that divides them, as PostgreSQL shows settings: `16MB`, `1500kB`, `0`. */
export function formatSize(bytes: number): string {
  return formatMeasure(bytes, SIZES);
}

/** Milliseconds in the largest unit that divides them: `5min`, `1500ms`, `0`. */
export function formatTime(ms: number): string {
  return formatMeasure(ms, TIMES);
}

function parseMeasure(text: string, units: Readonly<Record<string, number>>, bareUnit: string | undefined): Measure {
  const shown = text.length > 40 ? `${text.slice(0, 40)}...` : text;
  const match = /^\s*([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)\s*([A-Za-z]*)\s*$/.exec(text.slice(0, 64));
  if (match === null || text.length > 64) return bad(`"${shown}" is not a number with a unit`, units);
  const number = Number(match[1]);
  const unit = match[2] === '' ? bareUnit : match[2];
  if (number < 0) return { ok: false, message: `"${shown}" is negative` };
  if (unit === undefined) return number === 0 ? { ok: true, value: 0 } : bad(`"${shown}" has no unit`, units);
  const factor = Object.hasOwn(units, unit) ? units[unit] : undefined;
  if (factor === undefined) return bad(`"${shown}" has the unknown unit "${unit}"`, units);
  const value = Math.round(number * factor);
  if (!Number.isSafeInteger(value)) return { ok: false, message: `"${shown}" is too large` };
  return { ok: true, value };
}

function bad(message: string, units: Readonly<Record<string, number>>): Measure {
  return { ok: false, message: `${message} (units: ${Object.keys(units).join(', ')})` };
}

function formatMeasure(value: number, units: Readonly<Record<string, number>>): string {
  if (value === 0) return '0';
  const fitting = Object.entries(units).findLast(([, factor]) => factor >= 1 && value % factor === 0);
  return fitting === undefined ? String(value) : `${value / fitting[1]}${fitting[0]}`;
}
