import { WalholdError } from '../../base/errors.ts';
import type { TablespaceRecord } from '../../repository/backup-record.ts';

/** `-T OLD=NEW`, both absolute and without a slash at the end. */
export interface TablespaceMapping {
  from: string;
  to: string;
}

/** Where a tablespace lay, and where it is going to lie. */
export interface PlacedTablespace {
  oid: string;
  from: string;
  to: string;
}

/** Reads `OLD=NEW`; an equals sign in a path is written `\=`, as for pg_basebackup. Throws `usage`. */
export function parseMapping(text: string): TablespaceMapping {
  const parts = text.split(/(?<!\\)=/).map((part) => part.replaceAll(String.raw`\=`, '='));
  const [from = '', to = ''] = parts.map(withoutSlash);
  if (parts.length !== 2 || !from.startsWith('/') || !to.startsWith('/')) {
    throw new WalholdError('usage', `bad value for -T: ${JSON.stringify(text.slice(0, 200))}`, {
      hint: String.raw`Write OLD=NEW with two absolute paths; an equals sign inside a path is written \=.`,
    });
  }
  return { from, to };
}

/**
 * Where the tablespaces of a backup go: as mapped, else where they lay. Paths come from the repository, so they are checked: absolute,
 * without `..`, none within another or within the data directory. Throws `usage` for a mapping that fits no tablespace, `refused`.
 */
export function placeTablespaces(
  recorded: readonly TablespaceRecord[],
  mappings: readonly TablespaceMapping[],
  dataDirectory: string,
): PlacedTablespace[] {
  for (const { from } of mappings) {
    if (recorded.some(({ path }) => withoutSlash(path) === from)) continue;
    const known = recorded.map(({ path }) => path).join(', ');
    throw new WalholdError('usage', `the backup has no tablespace at ${from}`, {
      hint: known === '' ? 'It has no tablespaces at all: leave out -T.' : `Its tablespaces lie at: ${known}.`,
    });
  }
  const placed = recorded.map(({ oid, path }) => {
    const from = withoutSlash(path);
    return { oid, from, to: mappings.findLast((one) => one.from === from)?.to ?? from };
  });
  placed.forEach((one, index) => {
    if (!isPlainPath(one.to)) throw refused(one, 'that is no plain absolute path');
    if (within(one.to, dataDirectory) || within(dataDirectory, one.to))
      throw refused(one, `it overlaps ${dataDirectory}`);
    const other = placed.find((each, at) => at < index && (within(one.to, each.to) || within(each.to, one.to)));
    if (other !== undefined) throw refused(one, `it overlaps that of tablespace ${other.oid}, ${other.to}`);
  });
  return placed;
}

function isPlainPath(path: string): boolean {
  const names = path.split('/').slice(1);
  return (
    path.startsWith('/') && !path.includes('\0') && names.every((name) => name !== '' && name !== '.' && name !== '..')
  );
}

/** Whether `path` is `directory` or lies in it. */
function within(path: string, directory: string): boolean {
  return `${path}/`.startsWith(`${directory}/`);
}

function withoutSlash(path: string): string {
  return path.length > 1 ? path.replace(/\/+$/, '') : path;
}

function refused({ oid, to }: PlacedTablespace, detail: string): WalholdError {
  return new WalholdError('refused', `could not place tablespace ${oid} at ${to}`, {
    detail,
    hint: 'Map it to an empty or new directory with -T OLD=NEW.',
  });
}
