/**
 * One word for `/bin/sh`, whatever it holds; plain words stay as they are. Throws a RangeError for a zero byte, which no
 * argument can hold.
 */
export function quoteShellWord(word: string): string {
  if (word.includes('\0')) throw new RangeError('an argument cannot hold a zero byte');
  if (/^[A-Za-z0-9_@+=:,./-]+$/.test(word)) return word;
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/**
 * One word of an `archive_command` or `restore_command`: quoted for the shell, and with each `%` doubled, since
 * PostgreSQL replaces `%f`, `%p` and `%r` before the shell sees the line.
 */
export function quoteCommandWord(word: string): string {
  return quoteShellWord(word).replaceAll('%', '%%');
}
