import { list, table } from './markdown.ts';
import { spreadOf } from './statistics.ts';
import type { Case, Measure, Section, Values } from './figures.ts';

/** A benchmark's section of RESULTS.md. */
export function sectionText({ title, rounds, machine, note, tools, method, cases }: Section): string {
  const facts = [
    `machine: ${machine}`,
    ...tools.map(({ name, version, setup }) => [name, version === '' ? '' : ` ${version}`, `: ${setup}`].join('')),
  ];
  const parts = [
    `## ${title}`,
    `${rounds} ${rounds === 1 ? 'round' : 'rounds'}.`,
    list(facts),
    ...(note === '' ? [] : [`Note: ${note}.`]),
    list(method),
    ...cases.map(caseText),
  ];
  return parts.join('\n\n');
}

/** The same for programs: of each measure the values of all rounds. */
export function sectionJson(section: Section): string {
  const cases = section.cases.map(({ rows, missing, measures, ...rest }) => {
    const byMeasure = [...rows].map(([name, values]) => [name, columns(measures, values)] as const);
    return { ...rest, measures, rows: Object.fromEntries(byMeasure), missing: Object.fromEntries(missing) };
  });
  const text = JSON.stringify({ ...section, cases }, undefined, 1);
  const inOneLine = text.replaceAll(/\[[-+\d.e,\s]+\]/g, (numbers) =>
    numbers.replaceAll(/\s/g, '').replaceAll(',', ', '),
  );
  return `${inOneLine}\n`;
}

function columns(measures: readonly Measure[], values: readonly Values[]): Record<string, number[]> {
  const column = (key: string): number[] => values.map((each) => Number((each[key] ?? Number.NaN).toPrecision(6)));
  return Object.fromEntries(measures.map(({ key }) => [key, column(key)]));
}

function caseText({ title, measures, base, rows, missing }: Case): string {
  const head = ['', ...measures.flatMap((measure) => heads(measure, base))];
  const ours = rows.get(base) ?? [];
  const body = [...rows].map(([name, values]) => [name, ...measures.flatMap((one) => cells(one, values, ours))]);
  const left = [...missing].map(([name, reason]) => `${name} is missing: ${reason}`);
  return [`### ${title}`, table(head, body), ...(left.length === 0 ? [] : [list(left)])].join('\n\n');
}

function heads({ title, main }: Measure, base: string): string[] {
  return main ? [title, 'min', 'max', `over ${base}`] : [title];
}

function cells({ key, main }: Measure, values: readonly Values[], base: readonly Values[]): string[] {
  const median = medianOf(key, values);
  if (!main || Number.isNaN(median)) return main ? ['', '', '', ''] : [figure(median)];
  const { min, max } = spreadOf(values.flatMap((each) => each[key] ?? []));
  const ratio = median / medianOf(key, base);
  return [figure(median), figure(min), figure(max), Number.isNaN(ratio) ? '' : ratio.toFixed(2)];
}

function medianOf(key: string, values: readonly Values[]): number {
  const found = values.flatMap((each) => each[key] ?? []);
  return found.length === 0 ? Number.NaN : spreadOf(found).median;
}

/** Three digits that count; nothing for what there is not. */
function figure(value: number): string {
  if (Number.isNaN(value)) return '';
  const size = Math.abs(value);
  return value.toFixed(size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}
