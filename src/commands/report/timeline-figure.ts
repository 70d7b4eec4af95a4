/** The drawing of all timelines: a lane for each, over the time of storing. */
import { formatBytes } from '../format-bytes.ts';
import { AXIS_PX, dataTable, figure, timeAxis } from './figure.ts';
import { count } from './judgement.ts';
import { html, NOTHING, type Markup } from './markup.ts';
import type { BackupFact, GapFact, Lane, ReportFacts, Span, WindowFact } from './report-facts.ts';
import { percentAt, timeScale, type TimeScale } from './time-scale.ts';
import { timeMark, timeText } from './time-text.ts';

const LANE_PX = 72;
/** Within a lane, from its top. */
const NAME_Y = 14;
const WINDOW_Y = 22;
const WAL_Y = 30;
const WAL_PX = 12;
const BACKUP_Y = 54;
/** More are told in the table alone. */
const MOST_LANES = 12;
const MOST_HOLES = 200;
/** So many places for backups on the width. */
const PLACES = 100;

export function timelineFigure(facts: ReportFacts): Markup {
  const lanes = facts.lanes.slice(-MOST_LANES);
  const scale = scaleOf(facts);
  const height = lanes.length * LANE_PX + AXIS_PX;
  const rows = new Map(lanes.map(({ timeline }, at) => [timeline, at * LANE_PX]));
  const drawing = [
    ...timeAxis(scale, height),
    ...lanes.map((lane) => forkLine(lane, rows, scale)),
    ...lanes.map((lane) => drawLane(lane, rows.get(lane.timeline) ?? 0, facts, scale)),
  ];
  return figure({
    id: 'timelines',
    title: 'Timelines, WAL and backups',
    description: describe(facts, lanes.length),
    height,
    drawing,
    legend: [
      ['window', 'one can recover to any of these moments, along this timeline'],
      ['wal', 'WAL without a break'],
      ['hole', 'WAL is missing'],
      ['full', 'full backup'],
      ['incremental', 'incremental backup, on a line from the backup that it builds on'],
      ['fork', 'where a timeline left another'],
    ],
    explanation:
      'Each lane is a timeline: a server that was promoted, or recovered to a moment of the past, goes on in a new one. ' +
      'WAL stands where it was stored, by the clock of the store (UTC); what was copied here later stands at the time of the copy.',
    table: laneTable(facts.lanes),
  });
}

/** From the first that is stored. */
export function scaleOf({ lanes, backups, at }: ReportFacts): TimeScale {
  const starts = [...lanes.flatMap(({ spans }) => spans[0]?.from ?? []), ...backups.map(({ stoppedAt }) => stoppedAt)];
  return timeScale(
    starts.reduce((least, one) => Math.min(least, one), at),
    at,
  );
}

function describe({ lanes, backups, gapCount, windows }: ReportFacts, drawn: number): string {
  const parts = [count(lanes.length, 'timeline'), count(backups.length, 'backup'), count(gapCount, 'hole')];
  const last = windows.at(-1);
  const reach = last === undefined ? 'no moment' : `any moment from ${timeText(last.from)} to ${timeText(last.to)}`;
  const left = lanes.length > drawn ? ` Only the newest ${drawn} timelines are drawn.` : '';
  return `${parts.join(', ')}. The last window leads to ${reach}, on timeline ${last?.timeline ?? '-'}.${left}`;
}

function drawLane(lane: Lane, top: number, facts: ReportFacts, scale: TimeScale): Markup {
  const here = <T extends { timeline: Lane['timeline'] }>(all: readonly T[]): T[] =>
    all.filter(({ timeline }) => timeline === lane.timeline);
  return html`<g
    ><text class="name" x="0" y="${top + NAME_Y}">${laneName(lane)}</text>
    ${lane.spans.map((span) => bar('wal', span, top + WAL_Y, WAL_PX, scale))}
    ${here<WindowFact>(facts.windows)
      .slice(-MOST_HOLES)
      .map((window) => bar('window', window, top + WINDOW_Y, 5, scale))}
    ${here<GapFact>(facts.gaps)
      .slice(-MOST_HOLES)
      .map((gap) => hole(gap, top, scale))}
    ${drawBackups(here<BackupFact>(facts.backups), top + BACKUP_Y, scale)}</g
  > `;
}

function laneName({ timeline, fork }: Lane): string {
  return fork === undefined
    ? `Timeline ${timeline}`
    : `Timeline ${timeline}, from timeline ${fork.parent} at ${fork.lsn}`;
}

function bar(paint: string, { from, to }: Span, y: number, height: number, scale: TimeScale): Markup {
  const x = percentAt(scale, from);
  // What is short must be seen, too.
  const width = Math.max(0.4, Math.round((percentAt(scale, to) - x) * 100) / 100);
  return html`<rect
    class="p-${paint}"
    x="${Math.min(x, 99.6)}%"
    y="${y}"
    width="${width}%"
    height="${height}"
    rx="2"
  />`;
}

function hole({ at, first, last }: GapFact, top: number, scale: TimeScale): Markup {
  if (at === undefined) return NOTHING;
  const x = percentAt(scale, at);
  const name = first === last ? first : `${first} to ${last}`;
  return html`<g class="p-hole"
    ><title>missing: ${name}</title
    ><line x1="${x}%" x2="${x}%" y1="${top + WAL_Y - 5}" y2="${top + WAL_Y + WAL_PX + 5}"
  /></g>`;
}

/** Down from the lane that was left. */
function forkLine({ timeline, fork, spans }: Lane, rows: ReadonlyMap<number, number>, scale: TimeScale): Markup {
  const below = rows.get(timeline);
  const above = fork === undefined ? undefined : rows.get(fork.parent);
  const at = fork?.at ?? spans[0]?.from;
  if (below === undefined || above === undefined || at === undefined) return NOTHING;
  const x = percentAt(scale, at);
  const [y1, y2] = [above + WAL_Y + WAL_PX, below + WAL_Y + WAL_PX];
  return html`<line class="p-fork" x1="${x}%" x2="${x}%" y1="${y1}" y2="${y2}" />`;
}

/** A mark for each place, whatever the number of backups in it. */
function drawBackups(backups: readonly BackupFact[], y: number, scale: TimeScale): Markup[] {
  const placeOf = ({ stoppedAt }: BackupFact): number => Math.round((percentAt(scale, stoppedAt) * PLACES) / 100);
  const places = Map.groupBy(backups, placeOf);
  const byId = new Map(backups.map((backup) => [backup.id, backup]));
  const joined = new Set<number>();
  for (const backup of backups) {
    const parent = backup.parent === undefined ? undefined : byId.get(backup.parent);
    if (parent === undefined) continue;
    for (let place = placeOf(parent); place < placeOf(backup); place += 1) joined.add(place);
  }
  const lines = [...joined].map(
    (place) => html`<line class="p-chain" x1="${place}%" x2="${place + 1}%" y1="${y}" y2="${y}" />`,
  );
  return [...lines, ...[...places].map(([place, here]) => mark(place, here, y))];
}

function mark(place: number, here: readonly BackupFact[], y: number): Markup {
  const [first] = here;
  const isFull = here.some(({ type }) => type === 'full');
  const isBad = here.some(({ fault }) => fault !== undefined);
  const name =
    here.length === 1 && first !== undefined ? first.id : `${here.length} backups, the first ${first?.id ?? ''}`;
  const paint = `${isFull ? 'p-full' : 'p-incremental'}${isBad ? ' p-faulty' : ''}`;
  return html`<circle class="${paint}" cx="${place}%" cy="${y}" r="${isFull ? 6 : 4}"><title>${name}</title></circle>`;
}

function laneTable(lanes: readonly Lane[]): Markup {
  const columns = [
    { name: 'Timeline' },
    { name: 'From' },
    { name: 'First stored' },
    { name: 'Last stored' },
    { name: 'Segments', kind: 'number' },
    { name: 'Stored', kind: 'number' },
  ] as const;
  const rows = lanes
    .slice(-100)
    .map(({ timeline, fork, spans, segments, bytes }) => [
      String(timeline),
      fork === undefined ? '' : `timeline ${fork.parent} at ${fork.lsn}`,
      time(spans[0]?.from),
      time(spans.at(-1)?.to),
      segments.toLocaleString('en'),
      formatBytes(bytes),
    ]);
  return dataTable('The newest hundred timelines', columns, rows);
}

function time(ms: number | undefined): Markup {
  return ms === undefined ? html`-` : timeMark(ms);
}
