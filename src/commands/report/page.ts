/** The whole page: one file that loads nothing and runs nothing, with what it says in words first. Pure. */
import { backupTables } from './backup-table.ts';
import { drillSection } from './drill-section.ts';
import { headSection } from './head-section.ts';
import { judge } from './judgement.ts';
import { lagFigure } from './lag-figure.ts';
import { lockSection } from './lock-section.ts';
import { html, Markup } from './markup.ts';
import type { ReportFacts } from './report-facts.ts';
import { storageFigure } from './storage-figure.ts';
import { STYLE } from './style.ts';
import { timelineFigure } from './timeline-figure.ts';
import { timeMark } from './time-text.ts';
import { windowSection } from './window-section.ts';

/** Should anything get past the escaping, it still runs nothing and calls nobody. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/** So that another program can tell what the file is. */
export const GENERATOR = 'walhold report';

export function reportPage(facts: ReportFacts): string {
  const { systemId, at, asOf, by, repositories, lanes, wal } = facts;
  const sections: readonly (readonly [id: string, name: string, content: Markup])[] = [
    ['timelines', 'Timelines and backups', lanes.length === 0 ? html`<p>No WAL is stored.</p>` : timelineFigure(facts)],
    ['windows', 'What can be recovered', windowSection(facts)],
    ['drills', 'Drills', drillSection(facts)],
    ['lag', 'Lag', wal.pauses.length === 0 ? html`<p>No WAL is stored.</p>` : lagFigure(facts)],
    ['locks', 'Locks', lockSection(facts)],
    ['storage', 'Storage', wal.months.length === 0 ? html`<p>Nothing is stored.</p>` : storageFigure(facts)],
    ['backups', 'Backups', backupTables(facts)],
  ];
  const places = repositories.map(({ number, url }) => html`<li>Repository ${number}: <code>${url}</code></li>`);
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="${POLICY}" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="generator" content="${GENERATOR}" />
        <meta name="referrer" content="no-referrer" />
        <meta name="color-scheme" content="light dark" />
        <title>PostgreSQL cluster ${String(systemId)}: backups and recovery</title>
        <style>
          ${new Markup(STYLE)}
        </style>
      </head>
      <body>
        <a class="skip" href="#main">To the report</a>
        <header>
          <h1>Backups and recovery</h1>
          <p>PostgreSQL cluster ${String(systemId)}, ${asOf ? 'as the repository was at' : 'at'} ${timeMark(at)} UTC</p>
          <ul>
            ${places}
          </ul>
        </header>
        <nav aria-label="Sections">
          <ul>
            ${sections.map(([id, name]) => html`<li><a href="#s-${id}">${name}</a></li>`)}
          </ul>
        </nav>
        <main id="main">
          ${headSection(facts, judge(facts))}
          ${sections.map(
            ([id, name, content]) =>
              html`<section class="card" id="s-${id}" aria-labelledby="h-${id}">
                <h2 id="h-${id}">${name}</h2>
                ${content}
              </section> `,
          )}
        </main>
        <footer><p>Made by ${by}. All times are UTC.</p></footer>
      </body>
    </html> `;
  return `${page.text.trimEnd()}\n`;
}
