import { execFile } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import { WalholdError } from '../base/errors.ts';

export interface ProgramSearch {
  /** The cluster's: an older or newer server does not start on its files. */
  major: number;
  /** `--pg-bin`, absolute: looked at alone. */
  folder: string | undefined;
  /** `PATH`. */
  path: string | undefined;
  signal: AbortSignal;
}

/** Where packages put PostgreSQL: Debian's, then PostgreSQL's own for Red Hat. */
const PACKAGED: readonly ((major: number) => string)[] = [
  (major) => `/usr/lib/postgresql/${major}/bin`,
  (major) => `/usr/pgsql-${major}/bin`,
];
const ANSWER_MS = 20_000;

/** The folder with `postgres` of this major version. Throws `not-found`, or `usage` where the folder that was named holds another. */
export async function findPostgresPrograms(search: ProgramSearch): Promise<string> {
  const { major, folder } = search;
  if (folder !== undefined) return await requireFolder(folder, search);
  const others: string[] = [];
  for (const candidate of candidates(search)) {
    const found = await majorOf(candidate, search.signal);
    if (found === major) return candidate;
    if (found !== undefined) others.push(`PostgreSQL ${found} in ${candidate}`);
  }
  throw new WalholdError('not-found', `could not find the programs of PostgreSQL ${major}`, {
    detail:
      others.length === 0 ? 'there is no "postgres" on PATH or where packages put it' : `found: ${others.join(', ')}`,
    hint: `Install the server of PostgreSQL ${major} here, or name the directory of its programs with --pg-bin.`,
  });
}

async function requireFolder(folder: string, { major, signal }: ProgramSearch): Promise<string> {
  const found = await majorOf(folder, signal);
  if (found === major) return folder;
  throw new WalholdError('usage', `${folder} does not hold the programs of PostgreSQL ${major}`, {
    detail: found === undefined ? `no "postgres" that runs lies there` : `it holds those of PostgreSQL ${found}`,
    hint: 'Name with --pg-bin the directory that holds "postgres" of the major version that was backed up.',
  });
}

/** Each once. Debian links only some programs into PATH, so links are followed. */
function candidates({ major, path = '' }: ProgramSearch): Set<string> {
  const onPath = path
    .split(delimiter)
    .filter((folder) => isAbsolute(folder) && existsSync(join(folder, 'postgres')))
    .map((folder) => dirname(realpathSync(join(folder, 'postgres'))));
  const packaged = PACKAGED.map((place) => place(major)).filter((folder) => existsSync(join(folder, 'postgres')));
  return new Set([...onPath, ...packaged]);
}

/** `undefined`: there is no `postgres`, or it does not say. */
async function majorOf(folder: string, signal: AbortSignal): Promise<number | undefined> {
  return await new Promise((resolve) => {
    execFile(join(folder, 'postgres'), ['--version'], { signal, timeout: ANSWER_MS }, (_, stdout) => {
      const match = /^postgres \(PostgreSQL\) ([0-9]{1,3})/.exec(stdout);
      resolve(match === null ? undefined : Number(match[1]));
    });
  });
}
