/** Times on the width of a figure, in per cent of it, so that one drawing fits every screen. Pure. */

export interface TimeScale {
  readonly from: number;
  readonly to: number;
}

export interface Tick {
  readonly at: number;
  readonly label: string;
}

const MINUTE_MS = 60_000;
export const HOUR_MS: number = 60 * MINUTE_MS;
export const DAY_MS: number = 24 * HOUR_MS;
const MONTH_MS = 30 * DAY_MS;

/** So that an empty span can be drawn. */
const LEAST_SPAN_MS: number = 10 * MINUTE_MS;
const MOST_TICKS = 7;
const STEPS_MS: readonly number[] = [
  ...[2, 5, 10, 20, 30].map((minutes) => minutes * MINUTE_MS),
  ...[1, 2, 4, 6, 12, 24, 48, 168, 336].map((hours) => hours * HOUR_MS),
];
const MONTH_STEPS: readonly number[] = [1, 2, 3, 6, 12, 24, 60, 120];

export function timeScale(from: number, to: number): TimeScale {
  return { from: Math.min(from, to - LEAST_SPAN_MS), to };
}

/** From 0 to 100 with two decimals; what lies outside is put at the edge. */
export function percentAt({ from, to }: TimeScale, ms: number): number {
  const share = (Math.min(to, Math.max(from, ms)) - from) / (to - from);
  return Math.round(share * 10_000) / 100;
}

/** Round moments, seven at most, in UTC. */
export function ticksOf(scale: TimeScale): Tick[] {
  const span = scale.to - scale.from;
  const step = STEPS_MS.find((ms) => span / ms <= MOST_TICKS);
  return step === undefined ? monthTicks(scale, span) : evenTicks(scale, step);
}

function evenTicks({ from, to }: TimeScale, step: number): Tick[] {
  const ticks: Tick[] = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
    const text = new Date(at).toISOString();
    ticks.push({ at, label: step < DAY_MS ? `${text.slice(5, 10)} ${text.slice(11, 16)}` : text.slice(0, 10) });
  }
  return ticks;
}

function monthTicks({ from, to }: TimeScale, span: number): Tick[] {
  const months = MONTH_STEPS.find((count) => span / (count * MONTH_MS) <= MOST_TICKS) ?? 1200;
  const first = new Date(from);
  const ticks: Tick[] = [];
  // Counted from year 0, so that years and quarters fall on round months.
  let month = Math.ceil((first.getUTCFullYear() * 12 + first.getUTCMonth() + 1) / months) * months;
  for (; ticks.length <= MOST_TICKS; month += months) {
    const at = Date.UTC(Math.floor(month / 12), month % 12);
    if (at > to) break;
    ticks.push({ at, label: new Date(at).toISOString().slice(0, 7) });
  }
  return ticks;
}
