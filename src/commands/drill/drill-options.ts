import { readFileSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { reasonOf, WalholdError } from '../../base/errors.ts';
import {
  parseRestoreOptions,
  type OptionSources,
  type RestoreOptions,
  type RestoreWords,
} from '../restore/restore-options.ts';

/** What the command line says, as it stands there. */
export interface DrillWords extends Pick<
  RestoreWords,
  | 'backup'
  | 'targetTime'
  | 'targetLsn'
  | 'targetXid'
  | 'targetName'
  | 'targetImmediate'
  | 'targetTimeline'
  | 'targetExclusive'
  | 'endAtGap'
  | 'json'
  | 'useRepo'
> {
  sql?: string;
  dbname?: string;
  username?: string;
  preload?: string;
  pgBin?: string;
  scratchDir?: string;
  keepDir?: boolean;
}

/** The same, understood. */
export interface DrillOptions {
  /** Its directory is not known yet. */
  restore: RestoreOptions;
  /** The text of `--sql`. */
  sql: string | undefined;
  /** Where that text is run; `undefined`: in the database that is always there. */
  database: string | undefined;
  username: string | undefined;
  /** `shared_preload_libraries` of the private server. */
  preload: string;
  /** Absolute. */
  programs: string | undefined;
  /** Absolute: the scratch directory is made in it. */
  scratchParent: string;
  keepDirectory: boolean;
  json: boolean;
}

const MOST_SQL_BYTES = 1024 * 1024;
/** Unlike `/tmp`, which can be memory, it is made for what is large. */
const SCRATCH_PARENT = '/var/tmp';

/** Throws `usage`. */
export function parseDrillOptions(words: DrillWords, sources: OptionSources): DrillOptions {
  const { sql, dbname, username, preload, pgBin, scratchDir, keepDir, json, ...target } = words;
  const { workingDirectory, environment } = sources;
  const { TMPDIR: temporary = '' } = environment;
  const scratchParent = scratchDir ?? (isAbsolute(temporary) ? temporary : SCRATCH_PARENT);
  if (dbname !== undefined && sql === undefined) {
    throw new WalholdError('usage', '--dbname goes with --sql', { hint: 'It names the database that --sql asks.' });
  }
  const restore = parseRestoreOptions({ ...target, pgdata: scratchParent, archiveMode: 'off' }, sources);
  return {
    // Only a server that takes writes can be given the extension for its checks.
    restore: { ...restore, action: 'promote' },
    sql: sql === undefined ? undefined : readSql(resolve(workingDirectory, sql)),
    database: dbname,
    username,
    preload: preload ?? '',
    programs: pgBin === undefined ? undefined : resolve(workingDirectory, pgBin),
    scratchParent: resolve(workingDirectory, scratchParent),
    keepDirectory: keepDir === true,
    json: json === true,
  };
}

function readSql(path: string): string {
  const text = readText(path);
  if (text.length <= MOST_SQL_BYTES && text.trim() !== '') return text;
  throw new WalholdError('usage', `${path} is ${text.trim() === '' ? 'empty' : 'too large'}`, {
    hint: 'Write up to 1 MB of statements into it, each of which returns true.',
  });
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new WalholdError('usage', `could not read ${path}`, {
      detail: reasonOf(error),
      hint: 'Name with --sql a file that this user can read.',
      cause: error,
    });
  }
}
