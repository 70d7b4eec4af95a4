/**
 * HTML that is safe by the way it is made: what is put into the template is escaped, unless it was made by the template itself.
 * Labels, names and reasons come from a repository, so nothing in the page is joined by hand.
 */
import { plainText } from '../plain-text.ts';

/** Made by {@link html} alone. */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type Content = string | number | Markup | readonly Markup[];

/** Values are escaped for text and for attributes in double quotes; several pieces of markup are put one after the other. */
export function html(texts: TemplateStringsArray, ...values: readonly Content[]): Markup {
  const [first = '', ...others] = narrow(texts);
  return new Markup(others.reduce((made, text, at) => `${made}${contentText(values[at] ?? '')}${text}`, first));
}

export const NOTHING: Markup = new Markup('');

const narrowed = new WeakMap<TemplateStringsArray, readonly string[]>();

/** The indentation of the source is none of the page's. */
function narrow(texts: TemplateStringsArray): readonly string[] {
  const known = narrowed.get(texts) ?? texts.map((text) => text.replace(/\n\s+/g, '\n'));
  narrowed.set(texts, known);
  return known;
}

function contentText(value: Content): string {
  if (value instanceof Markup) return value.text;
  if (typeof value === 'object') return value.map(({ text }) => text).join('');
  return escaped(String(value));
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Nor may a name turn the direction of what stands beside it. */
function escaped(text: string): string {
  return plainText(text)
    .toWellFormed()
    .replace(/[\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '')
    .replace(/[&<>"']/g, (one) => ENTITIES[one] ?? '');
}

/** What somebody else wrote, as far as a page has room for it. */
export function shortText(text: string, most = 200): string {
  return text.length <= most ? text : `${text.slice(0, most)}…`;
}
