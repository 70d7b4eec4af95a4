import { describe, expect, it } from 'vitest';
import { html, shortText } from '../../../../src/commands/report/markup.ts';

describe('markup', () => {
  const hostile: [name: string, value: string, made: string][] = [
    ['ends of scripts and tags', '</script><b>', '&lt;/script&gt;&lt;b&gt;'],
    ['quotes, which end attributes', `" onload='x'`, '&quot; onload=&#39;x&#39;'],
    ['entities', '&lt;', '&amp;lt;'],
    ['control characters', 'a\u001b[2Jb\nc\u0000', 'a [2Jb c '],
    ['half a character', 'a\ud800b', 'a\ufffdb'],
    ['what turns the direction of writing', 'a\u202egpj.exe\u2066b', 'agpj.exeb'],
  ];
  it.each(hostile)('makes harmless %s', (_, value, made) => {
    expect(html`<p title="${value}">${value}</p>`.text).toBe(`<p title="${made}">${made}</p>`);
  });

  it('leaves alone what it made itself, one or many', () => {
    const items = ['a', '<'].map((name) => html`<i>${name}</i>`);
    expect(html`<b>${items}</b>`.text).toBe('<b><i>a</i><i>&lt;</i></b>');
    expect(html`<b>${html`<i>x</i>`}, ${7}</b>`.text).toBe('<b><i>x</i>, 7</b>');
  });

  it('cuts what is long', () => {
    expect(shortText('x'.repeat(200))).toHaveLength(200);
    expect(shortText('x'.repeat(10_000))).toBe(`${'x'.repeat(200)}…`);
  });
});
