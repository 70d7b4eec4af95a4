import { plainText } from './plain-text.ts';

/** Columns aligned with spaces, a line per row, no trailing blanks. Columns named in `right` are set flush right. */
export function textTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  right: ReadonlySet<string> = new Set(),
): string {
  const lines = [header, ...rows].map((line) => line.map(plainText));
  const widths = header.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const cell = (text: string, column: number): string => {
    const width = widths[column] ?? 0;
    return right.has(header[column] ?? '') ? text.padStart(width) : text.padEnd(width);
  };
  return lines.map((line) => `${line.map(cell).join('  ').trimEnd()}\n`).join('');
}
