import { readFileSync, statSync } from 'node:fs';
import type { Log } from '../base/log.ts';

export interface PasswordQuestion {
  host: string;
  port: number;
  database: string;
  user: string;
}

/** The directories whose sockets a line may name as `localhost`. */
const DEFAULT_SOCKETS = ['/var/run/postgresql', '/tmp'];

/**
 * The password for this connection in a file as `~/.pgpass` (libpq, 34.16). `undefined`: there is no such file, or no line fits.
 * A file that others may read is passed over with a warning, as libpq does.
 */
export function passwordFromFile(path: string, question: PasswordQuestion, log: Log): string | undefined {
  let text: string;
  try {
    const stats = statSync(path);
    if (!stats.isFile()) return undefined;
    if ((stats.mode & 0o077) !== 0) {
      log.warning(`password file ${path} is passed over: others may read it`, { hint: 'Set its permissions to 0600.' });
      return undefined;
    }
    text = readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
  return findPassword(text, question);
}

/** The first line that fits: `host:port:database:user:password`, `*` for any, colons and backslashes escaped. */
export function findPassword(text: string, question: PasswordQuestion): string | undefined {
  const { port, database, user } = question;
  const host = DEFAULT_SOCKETS.includes(question.host) ? 'localhost' : question.host;
  const wanted = [host, String(port), database, user];
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('#')) continue;
    const fields = splitLine(line);
    const fits = wanted.every((want, index) => fields[index] === '*' || unescaped(fields[index]) === want);
    if (fits && fields[4] !== undefined) return unescaped(fields[4]);
  }
  return undefined;
}

/** Five fields; the last one is the rest of the line. */
function splitLine(line: string): string[] {
  const fields: string[] = [];
  let rest = line;
  while (fields.length < 4) {
    const field = /^(?:[^:\\]|\\.)*(?=:)/.exec(rest)?.[0];
    if (field === undefined) return [];
    fields.push(field);
    rest = rest.slice(field.length + 1);
  }
  return [...fields, rest];
}

function unescaped(field: string | undefined): string | undefined {
  return field?.replace(/\\(.)/g, '$1');
}
