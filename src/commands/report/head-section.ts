/** What whoever has ten seconds should read. */
import { formatBytes } from '../format-bytes.ts';
import type { Finding } from './judgement.ts';
import { count } from './judgement.ts';
import { html, NOTHING, type Content, type Markup } from './markup.ts';
import type { ReportFacts, WindowFact } from './report-facts.ts';
import { durationText, timeMark } from './time-text.ts';

export function headSection(facts: ReportFacts, findings: readonly Finding[]): Markup {
  const wrong = findings.filter(({ level }) => level === 'wrong').length;
  const state = wrong > 0 ? 'bad' : findings.length > 0 ? 'look' : 'good';
  const items = findings.map(
    ({ level, text }) =>
      html`<li>
        <strong class="${level === 'wrong' ? 'bad' : 'look'}">${level === 'wrong' ? 'Wrong' : 'Look'}:</strong> ${text}
      </li>`,
  );
  return html`<section class="state ${state}" aria-labelledby="state">
      <h2 id="state">${headline(facts, wrong, findings.length - wrong)}</h2>
      ${reach(facts)}
      ${
        items.length === 0
          ? NOTHING
          : html`<ul class="findings">
              ${items}
            </ul>`
      }
    </section>
    <dl class="tiles">${tiles(facts)}</dl>
    <p class="note">
      A report knows what the repository shows, and asks no server: what the server has written since the last stored
      segment is not in it. <code>walhold status -D</code> on the database host tells how much a fire would cost now, to
      the byte.
    </p> `;
}

function headline({ windows }: ReportFacts, wrong: number, look: number): string {
  if (windows.length === 0) return 'Nothing can be recovered';
  if (wrong > 0) return `Recoverable, but ${count(wrong, 'thing')} ${wrong === 1 ? 'is' : 'are'} wrong`;
  return look > 0 ? `Recoverable, with ${count(look, 'thing')} to look at` : 'All is well';
}

/** The window that ends last. */
function reach({ windows }: ReportFacts): Markup {
  const newest = windows.reduce<WindowFact | undefined>(
    (latest, window) => (latest === undefined || window.to >= latest.to ? window : latest),
    undefined,
  );
  if (newest === undefined) return NOTHING;
  const { from, to, timeline } = newest;
  return html`<p>
    The cluster can be recovered to any moment from <strong>${timeMark(from)}</strong> to
    <strong>${timeMark(to)}</strong>, along timeline ${timeline}.
  </p>`;
}

function tiles(facts: ReportFacts): Markup[] {
  const { at, windows, lastStored, backups, drills, lanes } = facts;
  const newest = windows.reduce((latest, { to }) => Math.max(latest, to), -Infinity);
  const backup = backups.filter(({ fault }) => fault === undefined).at(-1);
  const proven = drills.find(({ ok }) => ok);
  const ago = (ms: number): string => (ms > at ? 'ahead of the clock' : `${durationText(at - ms)} before the report`);
  const stored =
    lanes.reduce((sum, { bytes }) => sum + bytes, 0) + backups.reduce((sum, one) => sum + one.storedBytes, 0);
  const fullBackups = backups.filter(({ type }) => type === 'full').length;
  return [
    tile(
      'Recoverable up to',
      newest === -Infinity ? 'nothing' : timeMark(newest),
      newest === -Infinity ? '' : `${ago(newest)}: the last commit that is stored`,
    ),
    tile(
      'Last segment stored',
      lastStored === undefined ? 'none' : timeMark(lastStored.at),
      lastStored === undefined ? '' : ago(lastStored.at),
    ),
    tile(
      'Newest backup',
      backup === undefined ? 'none' : timeMark(backup.stoppedAt),
      backup === undefined ? '' : `${ago(backup.stoppedAt)}, ${backup.type}`,
    ),
    tile(
      'Recovery proven',
      proven === undefined ? 'never' : timeMark(proven.at),
      proven === undefined
        ? ''
        : `${ago(proven.at)}${proven.rtoMs === undefined ? '' : `, in ${durationText(proven.rtoMs)}`}`,
    ),
    tile('Backups', String(backups.length), `${fullBackups} full, ${backups.length - fullBackups} incremental`),
    tile('Stored', formatBytes(stored), 'WAL and backups, compressed'),
  ];
}

function tile(name: string, value: Content, more: string): Markup {
  return html`<div>
    <dt>${name}</dt>
    <dd class="value">${value}</dd>
    ${more === '' ? [] : [html`<dd>${more}</dd>`]}
  </div>`;
}
