import { html, type Markup } from './markup.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const UNITS: readonly (readonly [ms: number, name: string])[] = [
  [DAY_MS, 'd'],
  [HOUR_MS, 'h'],
  [MINUTE_MS, 'min'],
  [1000, 's'],
];

/** `2026-11-22 17:45`, in UTC. `-`: not a time that can be written. */
export function timeText(ms: number): string {
  return isWritable(ms) ? new Date(ms).toISOString().slice(0, 16).replace('T', ' ') : '-';
}

/** The same for a machine too. */
export function timeMark(ms: number): Markup {
  if (!isWritable(ms)) return html`-`;
  const [date = '', hour = ''] = timeText(ms).split(' ');
  return html`<time datetime="${new Date(ms).toISOString()}"><span>${date}</span> <span>${hour}</span></time>`;
}

/** In at most two units, or so many: `3 d 4 h`, `12 min`, `0 s`. Without a sign. */
export function durationText(ms: number, units = 2): string {
  let rest = Math.round(Math.abs(ms) / 1000) * 1000;
  const at = UNITS.findIndex(([unit]) => rest >= unit);
  if (at < 0) return '0 s';
  const words: string[] = [];
  for (const [unit, name] of UNITS.slice(at, at + units)) {
    const count = Math.floor(rest / unit);
    if (count > 0) words.push(`${count} ${name}`);
    rest -= count * unit;
  }
  return words.join(' ');
}

function isWritable(ms: number): boolean {
  return Number.isFinite(ms) && Math.abs(ms) < 8.64e15 && new Date(ms).getUTCFullYear() <= 9999 && ms > -6.2e13;
}
