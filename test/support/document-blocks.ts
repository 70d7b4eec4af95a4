import { globSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A fenced block of a document, as `<!-- test: PATH#SCENARIO -->` on the line before it gives it to a test. */
export interface DocumentBlock {
  /** Relative to the top, as `README.md`. */
  document: string;
  /** The line of its fence, from 1. */
  line: number;
  /** The word after the fence: `sh`, `conf`, `json`, `text`, …; empty if there is none. */
  language: string;
  text: string;
  /** The test that runs or loads the block, relative to the top. */
  test: string | undefined;
  /** Which of the test's scenarios; empty if it has but one. */
  scenario: string;
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const MARK = /^<!-- test: ([^\s#]+)(?:#(\S+))? -->$/;

const FENCE = /^```(\w*)$/;

/** All documents: the prose at the top and beside the sources. */
export function documents(): string[] {
  return globSync(['*.md', 'src/**/*.md'], { cwd: ROOT }).toSorted();
}

/**
 * Every fenced block of a document, in order.
 *
 * @throws for a fence that is indented or never closed, which would hide a block from the tests.
 */
export function blocksOf(document: string): DocumentBlock[] {
  return blocksIn(document, readFileSync(join(ROOT, document), 'utf8'));
}

export function blocksIn(document: string, source: string): DocumentBlock[] {
  const blocks: DocumentBlock[] = [];
  let open: { block: DocumentBlock; lines: string[] } | undefined;
  let before = '';
  for (const [index, line] of source.split('\n').entries()) {
    if (open === undefined && line.includes('```')) {
      const language = FENCE.exec(line)?.[1];
      if (language === undefined) throw new Error(`${document}:${index + 1}: a fence must begin its line`);
      const [, test, scenario = ''] = MARK.exec(before) ?? [];
      open = { block: { document, line: index + 1, language, text: '', test, scenario }, lines: [] };
    } else if (open !== undefined && line === '```') {
      blocks.push({ ...open.block, text: `${open.lines.join('\n')}\n` });
      open = undefined;
    } else {
      open?.lines.push(line);
    }
    before = line;
  }
  if (open !== undefined) throw new Error(`${document}:${open.block.line}: the block is never closed`);
  return blocks;
}

/**
 * The blocks that are marked for the calling test and scenario, of all documents, in order. The test must use every one of
 * them: what is shown is what is run.
 *
 * @param url the test's `import.meta.url`
 */
export function blocksFor(url: string, scenario = ''): DocumentBlock[] {
  const test = relative(ROOT, fileURLToPath(url));
  const found = documents()
    .flatMap(blocksOf)
    .filter((block) => block.test === test && block.scenario === scenario);
  if (found.length === 0) throw new Error(`no document has a block marked for ${test}#${scenario}`);
  return found;
}

/**
 * The texts of blocks with the places and names of the document exchanged for those of the test.
 *
 * @throws when one of the former occurs in none: then the document has changed, and the test runs something else than it shows.
 */
export function textsWithPlaces(blocks: readonly DocumentBlock[], places: Readonly<Record<string, string>>): string[] {
  const missing = Object.keys(places).find((shown) => !blocks.some(({ text }) => text.includes(shown)));
  if (missing !== undefined) throw new Error(`the document no longer shows ${missing}`);
  return blocks.map(({ text }) =>
    Object.entries(places).reduce((changed, [shown, real]) => changed.replaceAll(shown, real), text),
  );
}
