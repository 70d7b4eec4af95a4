/**
 * The command line that PostgreSQL makes of `archive_command` or `restore_command` (replace_percent_placeholders,
 * common/percentrepl.c): `%%` is a percent sign, a `%` before any other letter stays.
 */
export function fillPlaceholders(line: string, values: Readonly<Record<string, string>>): string {
  return line.replace(/%(.)/gs, (whole, letter: string) => {
    if (letter === '%') return '%';
    return Object.hasOwn(values, letter) ? (values[letter] ?? '') : whole;
  });
}
