/** The moments that one can recover to, and the holes between them. */
import { dataTable } from './figure.ts';
import { html, type Markup } from './markup.ts';
import type { ReportFacts } from './report-facts.ts';
import { durationText, timeMark } from './time-text.ts';

const MOST_ROWS = 100;

export function windowSection({ windows, gaps }: Pick<ReportFacts, 'windows' | 'gaps'>): Markup {
  return html`${windows.length === 0 ? html`<p>There is no moment that one can recover to.</p>` : windowTable(windows)}
    <p class="note">
      A window begins where its first backup ended, and ends with the last transaction that is stored without a hole
      before it. Any moment in it can be given to <code>walhold restore --target-time</code>.
    </p>
    <h3>Holes</h3>
    ${gaps.length === 0 ? html`<p>No segment is missing between two that are stored, but for what was given up by <code>walhold expire</code>.</p>` : gapTable(gaps)}`;
}

function windowTable(windows: ReportFacts['windows']): Markup {
  const columns = [
    { name: 'From' },
    { name: 'To' },
    { name: 'Length', kind: 'number' },
    { name: 'Timeline', kind: 'number' },
    { name: 'From LSN', kind: 'wide number' },
    { name: 'To LSN', kind: 'wide number' },
  ] as const;
  const rows = windows
    .slice(-MOST_ROWS)
    .toReversed()
    .map(({ from, to, timeline, fromLsn, toLsn }) => {
      return [timeMark(from), timeMark(to), durationText(to - from), String(timeline), fromLsn, toLsn];
    });
  return dataTable('Windows of recovery', columns, rows);
}

function gapTable(gaps: ReportFacts['gaps']): Markup {
  const columns = [
    { name: 'First missing' },
    { name: 'Last missing' },
    { name: 'Segments', kind: 'number' },
    { name: 'About', kind: 'wide' },
  ] as const;
  const rows = gaps
    .slice(-MOST_ROWS)
    .toReversed()
    .map(({ first, last, count, at }) => {
      return [
        html`<code>${first}</code>`,
        html`<code>${last}</code>`,
        count.toLocaleString('en'),
        at === undefined ? '-' : timeMark(at),
      ];
    });
  return dataTable('Missing segments, the newest hundred', columns, rows);
}
