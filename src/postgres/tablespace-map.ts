import { WalholdError } from '../base/errors.ts';

/** One line of a `tablespace_map`: where the link `pg_tblspc/<oid>` points. */
export interface TablespaceLocation {
  /** As written, decimal. */
  readonly oid: string;
  /** Where the tablespace lay on the server, absolute. */
  readonly path: string;
}

const MOST_BYTES = 16 * 1024 * 1024;

/**
 * Reads a `tablespace_map` (read_tablespace_map, access/transam/xlogrecovery.c). From 14 on a backslash takes the meaning
 * of any character; 13 writes one only before a line break inside a path, so there all others are the path's own (tried).
 * Throws `bad-format`, also for an OID or a path that is none: the path goes into a link.
 */
export function parseTablespaceMap(text: string, major: number): TablespaceLocation[] {
  if (text.length > MOST_BYTES) throw bad(`it is ${text.length} characters long`);
  const locations: TablespaceLocation[] = [];
  const seen = new Set<string>();
  for (const [index, line] of logicalLines(text, major).entries()) {
    const match = /^([1-9][0-9]{0,9}) (.+)$/s.exec(line);
    const [, oid = '', path = ''] = match ?? [];
    if (match === null || Number(oid) > 0xffff_ffff) throw bad(`line ${index + 1} is not "OID PATH"`);
    if (!path.startsWith('/') || path.includes('\0')) throw bad(`line ${index + 1} has no absolute path`);
    if (seen.has(oid)) throw bad(`line ${index + 1} names tablespace ${oid} for the second time`);
    seen.add(oid);
    locations.push({ oid, path });
  }
  return locations;
}

/** Writes a `tablespace_map` that a server of this major reads back. Throws `bad-format` for a path that 13 cannot. */
export function formatTablespaceMap(locations: readonly TablespaceLocation[], major: number): string {
  return locations
    .map(({ oid, path }) => {
      if (major < 14 && path.endsWith('\\')) {
        throw new WalholdError('bad-format', 'could not write tablespace_map', {
          detail: `PostgreSQL ${major} cannot read the path ${path} back: it ends in a backslash`,
        });
      }
      return `${oid} ${path.replace(major < 14 ? /[\n\r]/g : /[\n\r\\]/g, String.raw`\$&`)}\n`;
    })
    .join('');
}

/** The lines with escapes resolved. A missing last line break means that the text was cut off. */
function logicalLines(text: string, major: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (let at = 0; at < text.length; at++) {
    const c = text.charAt(at);
    const following = text.charAt(at + 1);
    if (c === '\\' && following !== '' && (major >= 14 || isBreak(following))) {
      line += following;
      at++;
    } else if (isBreak(c)) {
      if (line !== '') lines.push(line);
      line = '';
    } else {
      line += c;
    }
  }
  if (line !== '') throw bad('its last line has no end');
  return lines;
}

function isBreak(c: string): boolean {
  return c === '\n' || c === '\r';
}

function bad(what: string): WalholdError {
  return new WalholdError('bad-format', 'could not read tablespace_map', { detail: what });
}
