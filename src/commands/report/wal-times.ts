/** What the times of storing tell of the WAL: one pass over what listings gave, nothing is read. Pure. */
import type { TimelineId } from '../../postgres/timeline.ts';
import type { PathSegment } from '../../repository/recovery-path.ts';
import { timelinesOf, walOf, type WalInventory } from '../../repository/wal-inventory.ts';
import type { Span } from './report-facts.ts';
import { DAY_MS, HOUR_MS, type TimeScale } from './time-scale.ts';

export interface StoredTimes {
  /** By `YYYY-MM`. */
  readonly bytesByMonth: ReadonlyMap<string, number>;
  readonly lanes: ReadonlyMap<TimelineId, { readonly bytes: number; readonly spans: readonly Span[] }>;
  /** Of all segments, rising; ms since 1970. */
  readonly storedAt: Float64Array;
  /** A few, spread over time. */
  readonly samples: readonly (PathSegment & { readonly storedAt: number })[];
}

/** So many spans are told apart on the width of a figure. */
const MOST_SPANS = 200;
const MOST_SAMPLES = 48;
const UNITS_MS: readonly number[] = [HOUR_MS, 6 * HOUR_MS, DAY_MS, 7 * DAY_MS, 28 * DAY_MS];
const MOST_BARS = 100;

export function storedTimes(inventory: WalInventory, scale: TimeScale): StoredTimes {
  const timelines = timelinesOf(inventory);
  const total = timelines.reduce((sum, timeline) => sum + walOf(inventory, timeline).segments.size, 0);
  const storedAt = new Float64Array(total);
  const bytesByMonth = new Map<string, number>();
  const samples = new Map<number, PathSegment & { storedAt: number }>();
  const monthOf = months();
  const sampleMs = (scale.to - scale.from) / MOST_SAMPLES;
  const lanes = new Map<TimelineId, { bytes: number; spans: readonly Span[] }>();
  let count = 0;
  for (const timeline of timelines) {
    const spans = new Spans((scale.to - scale.from) / MOST_SPANS);
    let bytes = 0;
    walOf(inventory, timeline).segments.each((segno, at, size) => {
      storedAt[count] = at;
      count += 1;
      bytes += size;
      const month = monthOf(at);
      bytesByMonth.set(month, (bytesByMonth.get(month) ?? 0) + size);
      spans.add(segno, at);
      const sample = Math.floor((at - scale.from) / sampleMs);
      const known = samples.get(sample);
      if (known === undefined) samples.set(sample, { timeline, segno: BigInt(segno), storedAt: at });
    });
    lanes.set(timeline, { bytes, spans: spans.closed() });
  }
  return { bytesByMonth, lanes, storedAt: storedAt.sort(), samples: [...samples.values()].slice(0, MOST_SAMPLES + 1) };
}

/** The longest time without a stored segment that touches each hour, day or week of the scale. */
export function pausesOf(storedAt: Float64Array, { from, to }: TimeScale): (Span & { pauseMs: number })[] {
  const first = storedAt[0];
  if (first === undefined) return [];
  const unit = UNITS_MS.find((ms) => (to - from) / ms <= MOST_BARS) ?? (to - from) / MOST_BARS;
  const begin = Math.floor(Math.max(first, from) / unit) * unit;
  const longest = new Float64Array(Math.max(1, Math.ceil((to - begin) / unit)));
  const note = (since: number, until: number): void => {
    const last = Math.min(longest.length - 1, Math.floor((until - begin) / unit));
    for (let at = Math.max(0, Math.floor((since - begin) / unit)); at <= last; at += 1)
      longest[at] = Math.max(longest[at] ?? 0, until - since);
  };
  let since = first;
  for (const at of storedAt) {
    note(since, Math.min(at, to));
    since = Math.min(at, to);
  }
  note(since, to);
  return Array.from(longest, (pauseMs, at) => {
    return { from: begin + at * unit, to: Math.min(to, begin + (at + 1) * unit), pauseMs };
  });
}

/** Spans of time in which no segment is missing; breaks that are too narrow to be seen are closed. */
class Spans {
  readonly #narrowMs: number;
  readonly #spans: Span[] = [];
  #last = -1;

  constructor(narrowMs: number) {
    this.#narrowMs = narrowMs;
  }

  add(segno: number, at: number): void {
    const open = this.#spans.at(-1);
    const goesOn = this.#last + 1 === segno;
    this.#last = segno;
    if (open === undefined || !(goesOn || (at >= open.from && at - open.to < this.#narrowMs)))
      this.#spans.push({ from: at, to: at });
    else {
      // Several are stored at a time, and copies later than what follows them.
      open.from = Math.min(open.from, at);
      open.to = Math.max(open.to, at);
    }
  }

  /** One for each place that can be told apart, however many there are. */
  closed(): Span[] {
    const rising = this.#spans.sort((a, b) => a.from - b.from);
    const closed: Span[] = [];
    for (const span of rising) {
      const open = closed.at(-1);
      if (open !== undefined && span.from - open.to < this.#narrowMs) open.to = Math.max(open.to, span.to);
      else closed.push({ ...span });
    }
    return closed;
  }
}

/** The month of each time, fast for times near one another. */
function months(): (at: number) => string {
  let known = { from: 0, to: 0, name: '' };
  return (at) => {
    if (at >= known.from && at < known.to) return known.name;
    const date = new Date(at);
    const from = Date.UTC(date.getUTCFullYear(), date.getUTCMonth());
    known = { from, to: Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1), name: date.toISOString().slice(0, 7) };
    return known.name;
  };
}
