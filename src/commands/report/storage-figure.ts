/** What each month added to the repository. */
import { formatBytes } from '../format-bytes.ts';
import { AXIS_PX, dataTable, figure, valueLine } from './figure.ts';
import { html, type Markup } from './markup.ts';
import type { MonthFact, ReportFacts } from './report-facts.ts';

const PLOT_PX = 150;
/** Above the highest bar, for the name of the highest line. */
const ROOM_PX = 22;
const MOST_MONTHS = 36;

export function storageFigure({ wal, backups, lanes }: Pick<ReportFacts, 'wal' | 'backups' | 'lanes'>): Markup {
  const months = wal.months.slice(-MOST_MONTHS);
  const most = months.reduce((high, { walBytes, backupBytes }) => Math.max(high, walBytes + backupBytes), 1);
  const step = 100 / Math.max(months.length, 6);
  const every = Math.ceil(months.length / 12);
  const drawing = months.map((month, at) =>
    column(month, { x: at * step, width: step, most, named: at % every === 0, odd: (at / every) % 2 === 1 }),
  );
  const walBytes = lanes.reduce((sum, { bytes }) => sum + bytes, 0);
  const backupBytes = backups.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
  const description = `${formatBytes(walBytes)} of WAL and ${formatBytes(backupBytes)} of backups are stored, ${formatBytes(walBytes + backupBytes)} together.`;
  return figure({
    id: 'storage',
    title: 'Storage by month',
    description,
    height: PLOT_PX + AXIS_PX,
    values: true,
    drawing: [...[1, 0.5, 0].map((share) => valueLine(yOf(share), formatBytes(most * share))), ...drawing],
    legend: [
      ['wal', 'WAL'],
      ['full', 'backups'],
    ],
    explanation: html`${description} A bar is what was stored in that month and is still there, compressed. What lies in
    several repositories is counted once; locks, drills and indexes are not counted.`,
    table: monthTable(wal.months),
  });
}

function yOf(share: number): number {
  return Math.round((PLOT_PX - share * (PLOT_PX - ROOM_PX)) * 10) / 10;
}

interface Place {
  x: number;
  width: number;
  most: number;
  named: boolean;
  odd: boolean;
}

function column({ month, walBytes, backupBytes }: MonthFact, { x, width, most, named, odd }: Place): Markup {
  const two = (value: number): number => Math.round(value * 100) / 100;
  const [bar, left] = [two(width * 0.7), two(x + width * 0.15)];
  const middle = yOf(walBytes / most);
  const top = yOf((walBytes + backupBytes) / most);
  const name = `${month}: ${formatBytes(walBytes)} of WAL, ${formatBytes(backupBytes)} of backups`;
  // In the middle of the last it would not fit on a phone.
  const isLast = x + width > 99.9;
  const label = html`<text
    class="tick${odd ? ' odd' : ''}"
    x="${isLast ? 100 : two(x + width / 2)}%"
    y="${PLOT_PX + 16}"
    text-anchor="${isLast ? 'end' : 'middle'}"
    >${month}</text
  >`;
  return html`<g
      ><title>${name}</title
      ><rect class="p-wal" x="${left}%" width="${bar}%" y="${middle}" height="${PLOT_PX - middle}" />
      <rect class="p-full" x="${left}%" width="${bar}%" y="${top}" height="${two(middle - top)}" /></g
    >${named ? [label] : []}`;
}

function monthTable(months: readonly MonthFact[]): Markup {
  const columns = [
    { name: 'Month' },
    { name: 'WAL', kind: 'number' },
    { name: 'Backups', kind: 'number' },
    { name: 'Together', kind: 'number' },
  ] as const;
  const rows = months.toReversed().map(({ month, walBytes, backupBytes }) => {
    return [month, ...[walBytes, backupBytes, walBytes + backupBytes].map(formatBytes)];
  });
  return dataTable('What each month added, newest first', columns, rows.slice(0, 600));
}
