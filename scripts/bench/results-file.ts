import { readFile, writeFile } from 'node:fs/promises';

/** Sections of RESULTS.md that other programs than the benchmark write: it leaves them in their place at the end. */
export const LOCKS_TITLE = 'Locks over a year';

/** Replaces the file but for the sections of others. */
export async function writeResults(path: string, text: string): Promise<void> {
  const kept = sectionOf(await readFile(path, 'utf8').catch(() => ''), LOCKS_TITLE);
  await writeFile(path, kept === undefined ? text : `${text.trimEnd()}\n\n${kept}`);
}

/** Replaces one section, or adds it. */
export async function writeSection(path: string, title: string, body: string): Promise<void> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const section = `## ${title}\n\n${body.trimEnd()}\n`;
  const old = sectionOf(text, title);
  await writeFile(path, old === undefined ? `${text.trimEnd()}\n\n${section}` : text.replace(old, () => section));
}

function sectionOf(text: string, title: string): string | undefined {
  const begin = text.indexOf(`## ${title}\n`);
  if (begin < 0) return undefined;
  const end = text.indexOf('\n## ', begin);
  return text.slice(begin, end < 0 ? undefined : end + 1);
}
