/** How far behind the repository was, as far as times of storing tell. */
import { AXIS_PX, dataTable, figure, timeAxis, valueLine } from './figure.ts';
import { html, type Markup } from './markup.ts';
import type { ReportFacts } from './report-facts.ts';
import { DAY_MS, HOUR_MS, percentAt, timeScale, type TimeScale } from './time-scale.ts';
import { durationText, timeMark, timeText } from './time-text.ts';

const PLOT_PX = 150;
/** Above the highest. */
const ROOM_PX = 14;
const HEIGHT: number = PLOT_PX + AXIS_PX;
/** The scale is logarithmic, from a second. */
const LEAST_MS = 1000;
const LINES = [
  [10_000, '10 s'],
  [60_000, '1 min'],
  [600_000, '10 min'],
  [HOUR_MS, '1 h'],
  [DAY_MS, '1 d'],
  [30 * DAY_MS, '30 d'],
  [365 * DAY_MS, '1 year'],
] as const;

export function lagFigure({ wal, at }: Pick<ReportFacts, 'wal' | 'at'>): Markup {
  const { pauses, delays } = wal;
  const scale = timeScale(pauses[0]?.from ?? at, at);
  const longest = pauses.reduce((most, one) => (one.pauseMs > most.pauseMs ? one : most), {
    from: at,
    to: at,
    pauseMs: 0,
  });
  const most = Math.max(10 * 60_000, longest.pauseMs, ...delays.map(({ delayMs }) => delayMs)) * 1.3;
  const y = (ms: number): number => {
    const share = Math.log(Math.max(ms, LEAST_MS) / LEAST_MS) / Math.log(most / LEAST_MS);
    return two(PLOT_PX - share * (PLOT_PX - ROOM_PX));
  };
  const lines = LINES.filter(([ms]) => ms <= most).map(([ms, label]) => valueLine(y(ms), label));
  return figure({
    id: 'lag',
    title: 'How far behind the repository was',
    description: describe(longest, delays),
    height: HEIGHT,
    values: true,
    drawing: [...bars(pauses, scale, y), ...timeAxis(scale, HEIGHT), ...lines, ...dots(delays, scale, y)],
    legend: [
      ['pause', 'longest time without a stored segment'],
      ...(delays.length === 0 ? [] : ([['delay', 'from the last commit in a segment to its storing']] as const)),
    ],
    explanation:
      'A bar is the longest time that passed with nothing stored: at most so much could be lost then, and less where the server rested. ' +
      'A dot is one segment: how long its newest transaction waited until it was safe, by the clocks of server and store. ' +
      'A few dozen segments are looked at. The scale is logarithmic.',
    table: lagTable(pauses),
  });
}

function bars(pauses: ReportFacts['wal']['pauses'], scale: TimeScale, y: (ms: number) => number): Markup[] {
  return pauses.map(({ from, to, pauseMs }) => {
    const x = percentAt(scale, from);
    const width = Math.max(0.2, two((percentAt(scale, to) - x) * 0.85));
    const top = y(pauseMs);
    const cap = html`<line class="cap" x1="${x}%" x2="${two(x + width)}%" y1="${top}" y2="${top}" />`;
    const bar = html`<rect class="p-pause" x="${x}%" width="${width}%" y="${top}" height="${two(PLOT_PX - top)}" />`;
    return html`<g><title>${timeText(from)}: ${durationText(pauseMs)}</title>${bar}${cap}</g>`;
  });
}

function dots(delays: ReportFacts['wal']['delays'], scale: TimeScale, y: (ms: number) => number): Markup[] {
  return delays.map(({ at, delayMs }) => {
    const name = html`<title>${timeText(at)}: ${durationText(delayMs)}</title>`;
    return html`<circle class="p-delay" cx="${percentAt(scale, at)}%" cy="${y(delayMs)}" r="3.5">${name}</circle>`;
  });
}

function two(value: number): number {
  return Math.round(value * 100) / 100;
}

function describe(longest: { from: number; pauseMs: number }, delays: ReportFacts['wal']['delays']): string {
  const pause = `The longest time without a stored segment was ${durationText(longest.pauseMs)}, about ${timeText(longest.from)}.`;
  const sorted = delays.map(({ delayMs }) => delayMs).sort((a, b) => a - b);
  const [middle, most] = [sorted[sorted.length >> 1], sorted.at(-1)];
  if (middle === undefined || most === undefined)
    return `${pause} Of no segment looked at is known when its commits were.`;
  return `${pause} Commits waited ${durationText(middle)} in the middle, ${durationText(most)} at the most, in ${sorted.length} segments that were looked at.`;
}

function lagTable(pauses: ReportFacts['wal']['pauses']): Markup {
  const rows = pauses
    .toReversed()
    .map(({ from, to, pauseMs }) => [timeMark(from), timeMark(to), durationText(pauseMs)]);
  const columns = [
    { name: 'From' },
    { name: 'To' },
    { name: 'Longest time without a stored segment', kind: 'number' },
  ] as const;
  return dataTable('Longest times without a stored segment, newest first', columns, rows);
}
