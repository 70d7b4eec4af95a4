import { readFile, writeFile } from 'node:fs/promises';

/** The benchmarks in the order of their sections. */
export const SECTIONS = [
  'commands',
  'full',
  'incremental',
  'large',
  'many',
  'sparse',
  'drain',
  'steady',
  'recovery',
  'call',
  'latency',
  'memory',
  'locks',
  'seals',
] as const;

export type SectionName = (typeof SECTIONS)[number];

const HEAD = `# What it costs, beside others

Written by \`scripts/bench/run\`; do not edit. Each benchmark writes its own section; in each run the contenders take turns on the same data, and another one begins in each round.
`;

/** Replaces a benchmark's section of the file of results, and leaves the others as they are. */
export async function writeSection(file: string, name: SectionName, text: string): Promise<void> {
  const before = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    return '';
  });
  await writeFile(file, withSection(before, name, text));
}

/** The whole file with this section in it; the head is written anew, and what others have written between or behind the sections stays behind them. */
export function withSection(before: string, name: SectionName, text: string): string {
  const sections = new Map(SECTIONS.map((each) => [each, each === name ? text.trim() : sectionOf(before, each)]));
  const kept = [...sections].flatMap(([each, content]) =>
    content === undefined ? [] : [`${startOf(each)}\n\n${content}\n\n${endOf(each)}\n`],
  );
  const others = outside(before);
  return [HEAD, ...kept, ...(others === '' ? [] : [`${others}\n`])].join('\n');
}

function outside(file: string): string {
  const starts = SECTIONS.map((each) => file.indexOf(startOf(each))).filter((start) => start >= 0);
  let rest = starts.length === 0 ? '' : file.slice(Math.min(...starts));
  for (const each of SECTIONS) {
    const content = sectionOf(rest, each);
    if (content === undefined) continue;
    rest = rest.slice(0, rest.indexOf(startOf(each))) + rest.slice(rest.indexOf(endOf(each)) + endOf(each).length);
  }
  return rest.trim();
}

function sectionOf(file: string, name: SectionName): string | undefined {
  const start = file.indexOf(startOf(name));
  const end = file.indexOf(endOf(name));
  return start < 0 || end < start ? undefined : file.slice(start + startOf(name).length, end).trim();
}

const startOf = (name: SectionName): string => `<!-- ${name} -->`;
const endOf = (name: SectionName): string => `<!-- end of ${name} -->`;
