/** What drills have proven. */
import { AXIS_PX, dataTable, figure, valueLine } from './figure.ts';
import { html, shortText, type Markup } from './markup.ts';
import type { DrillFact, ReportFacts } from './report-facts.ts';
import { DAY_MS, HOUR_MS } from './time-scale.ts';
import { durationText, timeMark, timeText } from './time-text.ts';

const PLOT_PX = 120;
const ROOM_PX = 22;
/** Of one that never took queries. */
const NOTHING_PX = 6;

export function drillSection({ drills }: Pick<ReportFacts, 'drills'>): Markup {
  const [last] = drills;
  if (last === undefined) return html`<p>No drill was ever stored: nobody has proven that this can be recovered.</p>`;
  const proven = drills.find(({ ok }) => ok);
  const words =
    proven === undefined
      ? html`<p>None of the drills found all well.</p>`
      : html`<p>
          Recovery was last proven at <strong>${timeMark(proven.at)}</strong>, with backup
          <code>${proven.backup}</code>, ${shortText(proven.target)}.
        </p>`;
  return html`${words}${drillFigure(drills)}`;
}

function drillFigure(drills: readonly DrillFact[]): Markup {
  const rising = drills.toReversed();
  const most = roundUp(rising.reduce((high, { rtoMs }) => Math.max(high, rtoMs ?? 0), 1000));
  const step = 100 / Math.max(rising.length, 8);
  const two = (value: number): number => Math.round(value * 100) / 100;
  const bars = rising.map(({ at, ok, rtoMs }, index) => {
    const height = Math.max(NOTHING_PX, Math.round((Math.max(0, rtoMs ?? 0) / most) * (PLOT_PX - ROOM_PX)));
    const name = `${timeText(at)}: ${ok ? 'all well' : 'failed'}${rtoMs === undefined ? '' : `, ${durationText(rtoMs)}`}`;
    return html`<rect
      class="p-${ok ? 'good' : 'bad'}"
      x="${two(index * step + step * 0.15)}%"
      width="${two(step * 0.7)}%"
      y="${PLOT_PX - height}"
      height="${height}"
      rx="2"
      ><title>${name}</title></rect
    >`;
  });
  const [first, last] = [rising[0], rising.at(-1)];
  const end = two(rising.length * step);
  const ticks = [
    html`<text class="tick" x="0" y="${PLOT_PX + 16}">${timeText(first?.at ?? 0).slice(0, 10)}</text>`,
    ...(rising.length > 4
      ? [
          html`<text class="tick" x="${end}%" y="${PLOT_PX + 16}" text-anchor="end"
            >${timeText(last?.at ?? 0).slice(0, 10)}</text
          >`,
        ]
      : []),
  ];
  return figure({
    id: 'drills',
    title: 'Drills: time until the server took queries',
    description: describe(drills),
    height: PLOT_PX + AXIS_PX,
    values: true,
    drawing: [...bars, valueLine(ROOM_PX, durationText(most, 1)), ...ticks],
    legend: [
      ['good', 'all was well'],
      ['bad', 'something was wrong'],
    ],
    explanation:
      'A bar is one drill, in the order of time: a restore into a scratch directory, a recovery, and checks of what came back. Its height is the RTO, ' +
      'from the beginning until the server took queries. The RPO is how old the last transaction was that came back: on a server that rested nothing was lost in that time. ' +
      'Whoever may write into the repository could have stored such a record.',
    table: drillTable(drills),
  });
}

/** To a whole number of the largest unit, so that its name is true. */
function roundUp(ms: number): number {
  const unit = [DAY_MS, HOUR_MS, 60_000, 1000].find((one) => ms >= one) ?? 1000;
  return Math.ceil(ms / unit) * unit;
}

function describe(drills: readonly DrillFact[]): string {
  const good = drills.filter(({ ok }) => ok);
  const times = good.flatMap(({ rtoMs }) => rtoMs ?? []);
  const took =
    times.length === 0 ? '' : ` They took ${durationText(Math.min(...times))} to ${durationText(Math.max(...times))}.`;
  return `${good.length} of the last ${drills.length} drills found all well.${took}`;
}

function drillTable(drills: readonly DrillFact[]): Markup {
  const columns = [
    { name: 'Drill' },
    { name: 'Found' },
    { name: 'RTO', kind: 'number' },
    { name: 'RPO', kind: 'number' },
    { name: 'Backup' },
    { name: 'Target' },
  ] as const;
  const duration = (ms: number | undefined): string =>
    ms === undefined ? '-' : `${ms < 0 ? 'minus ' : ''}${durationText(ms)}`;
  const rows = drills.map(({ at, ok, rtoMs, rpoMs, backup, target, failed }) => [
    timeMark(at),
    ok ? 'all well' : ['wrong', ...failed.slice(0, 5).map((text) => shortText(text))].join('; '),
    duration(rtoMs),
    duration(rpoMs),
    backup,
    shortText(target),
  ]);
  return dataTable('Drills, newest first', columns, rows);
}
