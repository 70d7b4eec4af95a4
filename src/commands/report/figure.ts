import { html, NOTHING, type Markup } from './markup.ts';
import { percentAt, ticksOf, type TimeScale } from './time-scale.ts';

/** Colours have names, which the style sheet gives meaning to. */
export type Paint =
  'wal' | 'window' | 'hole' | 'full' | 'incremental' | 'fork' | 'pause' | 'delay' | 'lock' | 'good' | 'bad';

export interface Figure {
  /** Unique on the page. */
  id: string;
  /** What it is called, and what it shows in a sentence, for who does not see it. */
  title: string;
  description: string;
  /** In pixels; the width is the screen's. */
  height: number;
  /** Whether the names of values stand at the left (`valueLine`). */
  values?: boolean;
  drawing: readonly Markup[];
  legend?: readonly (readonly [paint: Paint, text: string])[];
  /** What the figure means. */
  explanation: Content;
  /** The same as a table. */
  table: Markup;
}

type Content = string | Markup;

/** Space below a drawing for the names of its times. */
export const AXIS_PX = 22;

export function figure({
  id,
  title,
  description,
  height,
  values = false,
  drawing,
  legend = [],
  explanation,
  table,
}: Figure): Markup {
  const keys = legend.map(([paint, text]) => html`<li><span class="key k-${paint}"></span>${text}</li>`);
  return html`<figure>
    <svg
      role="img"
      ${values ? html` class="values"` : NOTHING}
      width="100%"
      height="${height}"
      aria-labelledby="${id}-t ${id}-d"
    >
      <title id="${id}-t">${title}</title>
      <desc id="${id}-d">${description}</desc>
      ${drawing}
    </svg>
    ${
      keys.length === 0
        ? NOTHING
        : html`<ul class="legend">
            ${keys}
          </ul>`
    }
    <figcaption>${explanation}</figcaption>
    <details>
      <summary>Table: ${title}</summary>
      ${table}
    </details>
  </figure> `;
}

/** The times below a drawing, and a thin line up from each. */
export function timeAxis(scale: TimeScale, height: number): Markup[] {
  const bottom = height - AXIS_PX;
  return ticksOf(scale).map(({ at, label }, index) => {
    const x = percentAt(scale, at);
    const anchor = x < 10 ? 'start' : x > 90 ? 'end' : 'middle';
    const odd = index % 2 === 1 ? ' odd' : '';
    const name = html`<text class="tick${odd}" x="${x}%" y="${bottom + 16}" text-anchor="${anchor}">${label}</text>`;
    return html`<line class="grid" x1="${x}%" x2="${x}%" y1="0" y2="${bottom}" />${name}`;
  });
}

/** A line across at a value, with its name to the left of the drawing. */
export function valueLine(y: number, label: string): Markup {
  const name = html`<text class="tick" x="-8" y="${y + 4}" text-anchor="end">${label}</text>`;
  return html`<line class="grid" x1="0" x2="100%" y1="${y}" y2="${y}" />${name}`;
}

type Kind = 'number' | 'code' | 'whole';

export interface Column {
  readonly name: string;
  /** `number`: stands at the right; `code` and `whole` are not broken into lines; `wide`: left out on narrow screens. */
  readonly kind?: Kind | 'wide' | `wide ${Kind}`;
}

/** A table that scrolls by itself where it is too wide, also by the keyboard. */
export function dataTable(caption: string, columns: readonly Column[], rows: readonly (readonly Content[])[]): Markup {
  const classOf = ({ kind }: Column): Markup => (kind === undefined ? NOTHING : html` class="${kind}"`);
  const head = columns.map((column) => html`<th scope="col" ${classOf(column)}>${column.name}</th>`);
  const classes = columns.map(classOf);
  const body = rows.map(
    (cells) =>
      html`<tr>
        ${cells.map((cell, at) => html`<td${classes[at] ?? NOTHING}>${cell}</td>`)}
      </tr> `,
  );
  return html`<div class="scroll" role="region" tabindex="0" aria-label="${caption}">
    <table>
      <caption>
        ${caption}
      </caption>
      <thead>
        <tr>
          ${head}
        </tr>
      </thead>
      <tbody>
        ${body}
      </tbody>
    </table>
  </div>`;
}
