/** What is locked, and when that ends. */
import { formatTime } from '../../postgres/units.ts';
import { AXIS_PX, dataTable, figure, timeAxis, valueLine } from './figure.ts';
import { count } from './judgement.ts';
import { html, type Markup } from './markup.ts';
import type { BackupFact, ReportFacts } from './report-facts.ts';
import { DAY_MS, percentAt, timeScale } from './time-scale.ts';
import { durationText, timeMark, timeText } from './time-text.ts';

const PLOT_PX = 110;
const HEIGHT: number = PLOT_PX + AXIS_PX;
const MOST_BARS = 60;

type Locked = BackupFact & { lockedUntil: number };

export function lockSection(facts: ReportFacts): Markup {
  const { locks, at, backups } = facts;
  if (!locks.any) {
    return html`<p>
      No repository locks what it stores (<code>lock_mode</code> is <code>none</code>): whoever may delete there can
      delete backups and WAL.
    </p>`;
  }
  const locked = backups.filter((backup): backup is Locked => (backup.lockedUntil ?? 0) > at);
  const settings = facts.repositories.flatMap(({ number, lock }) =>
    lock === undefined
      ? []
      : [html`<li>Repository ${number}: ${lock.mode}, ${formatTime(lock.periodMs)} from the writing.</li>`],
  );
  const next =
    locks.nextEnd === undefined
      ? html`<p>Nothing that is needed is known to be locked.</p>`
      : html`<p>
          The first lock of what is needed ${locks.nextEnd > at ? 'ends' : 'ended'} at
          <strong>${timeMark(locks.nextEnd)}</strong> (${durationText(locks.nextEnd - at)}
          ${locks.nextEnd > at ? 'after the report' : 'before it'}).
        </p>`;
  return html`${next}
    <ul>
      ${settings}
    </ul>
    ${locked.length === 0 ? [] : [lockFigure(locked, backups.length, at)]}`;
}

function lockFigure(locked: readonly Locked[], all: number, at: number): Markup {
  const last = locked.reduce((latest, { lockedUntil }) => Math.max(latest, lockedUntil), at);
  const scale = timeScale(at, Math.max(last, at + DAY_MS));
  const placeOf = ({ lockedUntil }: Locked): number =>
    Math.min(MOST_BARS - 1, Math.floor((percentAt(scale, lockedUntil) * MOST_BARS) / 100));
  const places = [...Map.groupBy(locked, placeOf)].sort(([a], [b]) => a - b);
  const most = places.reduce((high, [, here]) => Math.max(high, here.length), 1);
  const bars = places.map(([place, here]) => {
    const height = Math.round((here.length / most) * (PLOT_PX - 22));
    const first = here.reduce((least, { lockedUntil }) => Math.min(least, lockedUntil), Infinity);
    const name = `${count(here.length, 'backup')}, the first at ${timeText(first)}`;
    const x = Math.round((place * 10_000) / MOST_BARS) / 100;
    return html`<rect class="p-lock" x="${x}%" width="1.4%" y="${PLOT_PX - height}" height="${height}" rx="2"
      ><title>${name}</title></rect
    >`;
  });
  const ends = locked.map(({ lockedUntil }) => lockedUntil).sort((a, b) => a - b);
  return figure({
    id: 'locks',
    title: 'When the locks of backups end',
    description: `${locked.length} of ${count(all, 'backup')} are locked. The first lock ends at ${timeText(ends[0] ?? at)}, the last at ${timeText(last)}.`,
    height: HEIGHT,
    values: true,
    drawing: [...timeAxis(scale, HEIGHT), valueLine(22, count(most, 'backup')), ...bars],
    explanation:
      'A bar is the number of backups of which a lock ends then: the first lock of the backup or of one that it builds on. It is what the records of ' +
      '"walhold lock extend" say, and for what is younger its age; "walhold lock status" asks the store itself.',
    table: dataTable(
      'Locked backups, in the order in which their locks end',
      [{ name: 'Backup' }, { name: 'Locked until' }],
      locked
        .toSorted((a, b) => a.lockedUntil - b.lockedUntil)
        .slice(0, 200)
        .map(({ id, lockedUntil }) => [id, timeMark(lockedUntil)]),
    ),
  });
}
