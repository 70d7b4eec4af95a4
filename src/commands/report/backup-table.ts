/** All backups, by month: what is closed costs a browser nothing. */
import { formatBytes } from '../format-bytes.ts';
import { dataTable } from './figure.ts';
import { count } from './judgement.ts';
import { html, NOTHING, shortText, type Markup } from './markup.ts';
import type { BackupFact, ReportFacts } from './report-facts.ts';
import { timeText } from './time-text.ts';

/** The newest; a row is some 400 bytes. */
const MOST_ROWS = 2000;

const LONGEST_LABEL = 80;

const COLUMNS = [
  { name: 'Backup', kind: 'code' },
  { name: 'Builds on', kind: 'wide code' },
  { name: 'Label', kind: 'wide' },
  { name: 'Ended at', kind: 'wide whole' },
  { name: 'Timeline', kind: 'wide number' },
  { name: 'Start LSN', kind: 'wide number' },
  { name: 'PG', kind: 'wide' },
  { name: 'Size', kind: 'wide number' },
  { name: 'Stored', kind: 'number' },
  { name: 'Locked until', kind: 'whole' },
] as const;

export function backupTables({ backups }: Pick<ReportFacts, 'backups'>): Markup {
  if (backups.length === 0) return html`<p>No backup is stored.</p>`;
  const newest = backups.toReversed().slice(0, MOST_ROWS);
  const left = backups.length - newest.length;
  const months = [...Map.groupBy(newest, ({ id }) => `${id.slice(0, 4)}-${id.slice(4, 6)}`)];
  const note =
    left > 0 ? html`<p>${count(left, 'older backup')} left out here: "walhold list" names all.</p>` : NOTHING;
  return html`${months.map(([month, here], at) => monthTable(month, here, at === 0))}${note}`;
}

function monthTable(month: string, backups: readonly BackupFact[], open: boolean): Markup {
  const bytes = backups.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
  return html`<details${open ? html` open` : NOTHING}><summary>${month}: ${count(backups.length, 'backup')}, ${formatBytes(bytes)}</summary>
${dataTable(`Backups of ${month}, newest first`, COLUMNS, backups.map(cells))}</details>
`;
}

function cells(backup: BackupFact): (string | Markup)[] {
  const { id, parent, label, stoppedAt, timeline, startLsn, pgVersion, sizeBytes, storedBytes, lockedUntil, fault } =
    backup;
  return [
    fault === undefined ? id : html`${id}<br /><strong class="bad">cannot be restored: ${fault}</strong>`,
    parent ?? '',
    html`<bdi>${shortText(label, LONGEST_LABEL)}</bdi>`,
    timeText(stoppedAt),
    String(timeline),
    startLsn,
    pgVersion.split(' ')[0] ?? '',
    formatBytes(sizeBytes),
    formatBytes(storedBytes),
    lockedUntil === undefined ? '-' : timeText(lockedUntil).slice(0, 10),
  ];
}
