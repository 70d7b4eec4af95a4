/** `--only-db`: which files are restored as they are, and which as zeros. */
import { WalholdError } from '../../base/errors.ts';
import { databaseOf } from '../../postgres/database-path.ts';
import type { DatabaseRecord } from '../../repository/backup-record.ts';
import type { BackupSummary } from '../../repository/backups.ts';

export interface ChosenDatabases {
  /** Those that are not restored, by name. */
  others: readonly string[];
  /** Whether a file is one of theirs, and of zeros. */
  isBlank: (path: string | Uint8Array) => boolean;
}

/** FirstNormalObjectId (access/transam.h): databases below were made by initdb. */
const FIRST_NORMAL_OID = 16_384;

/** Where nothing was chosen, everything is restored. Throws `refused` for a name that the backup does not have, or that it cannot know. */
export function chooseDatabases(
  { id, databases }: Pick<BackupSummary, 'id' | 'databases'>,
  names: readonly string[],
): ChosenDatabases | undefined {
  if (names.length === 0) return undefined;
  if (databases === undefined) {
    throw new WalholdError('refused', `backup ${id} does not say which databases it holds`, {
      detail: 'it was taken by a version of walhold that did not write them down',
      hint: 'Restore it without --only-db, or take a new backup.',
    });
  }
  for (const name of names) {
    if (databases.some((one) => one.name === name)) continue;
    throw new WalholdError('refused', `backup ${id} has no database ${JSON.stringify(name.slice(0, 100))}`, {
      hint: `It has ${databases
        .map((one) => one.name)
        .join(', ')
        .slice(0, 1000)}.`,
    });
  }
  const whole = databases.filter((one) => isSystem(one) || names.includes(one.name));
  const oids = new Set(whole.map(({ oid }) => oid));
  return { others: databases.filter((one) => !whole.includes(one)).map(({ name }) => name), isBlank: blankIn(oids) };
}

/** What the server needs to be one: `postgres` and the templates, also those that were made later. */
function isSystem({ oid, template }: DatabaseRecord): boolean {
  return oid < FIRST_NORMAL_OID || template;
}

/**
 * All of a database's directory, `PG_VERSION` too, which nothing but a connection looks at: by that a server refuses them. It must not go on
 * to `pg_filenode.map`, which the log may bring back: with that, and no catalogs, it stops altogether (load_critical_index, relcache.c).
 */
function blankIn(whole: ReadonlySet<number>): ChosenDatabases['isBlank'] {
  return (path) => {
    const database = databaseOf(typeof path === 'string' ? path : Buffer.from(path).toString('latin1'));
    return database !== undefined && database >= FIRST_NORMAL_OID && !whole.has(database);
  };
}
