// Prints the folder of the PostgreSQL programs of a major version (default: whatever is at hand):
//   scripts/with-node scripts/find-postgres.ts [MAJOR]
import { spawnSync } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { EMBEDDED_VERSIONS, embeddedPostgres } from './embedded-postgres.ts';
import { serverUser } from './server-user.ts';
import { copyForOthers, mayUse } from './shared-place.ts';

/** PostgreSQL's programs of one major version, usable by the account that servers run under. */
export interface PostgresBinaries {
  major: number;
  /** The folder with `initdb`, `pg_ctl` and `postgres`. */
  bin: string;
  /** True when the client programs (`psql`, `pg_verifybackup`, `pg_rewind`, …) lie there too: npm's packages have none. */
  hasClients: boolean;
}

/** The major versions that {@link findPostgres} can bring on any machine which reaches npm. */
export const MAJORS: readonly number[] = Object.keys(EMBEDDED_VERSIONS).map(Number);

/**
 * PostgreSQL of the major version asked for: the one installed on this machine, else npm's, which is fetched once. Without
 * a version: the one on PATH, else the newest installed, else npm's newest but one.
 *
 * @throws when it is not installed and cannot be fetched.
 */
export async function findPostgres(major?: number): Promise<PostgresBinaries> {
  const user = serverUser();
  const installed = installedFolders()
    .filter(({ bin }) => mayUse(user, join(bin, 'postgres')))
    .find((found) => major === undefined || found.major === major);
  if (installed !== undefined) {
    return { ...installed, hasClients: existsSync(join(installed.bin, 'pg_verifybackup')) };
  }
  const wanted = major ?? 17;
  let folder = await embeddedPostgres(wanted);
  if (!mayUse(user, join(folder, 'bin', 'postgres'))) {
    folder = await copyForOthers(folder, `pg${wanted}-${EMBEDDED_VERSIONS[wanted]}`);
  }
  return { major: wanted, bin: join(folder, 'bin'), hasClients: false };
}

/** The folders of this machine that hold a server: the one on PATH first, then Debian's, newest first. */
function installedFolders(): { major: number; bin: string }[] {
  const debian = MAJORS.toReversed().map((major) => `/usr/lib/postgresql/${major}/bin`);
  const folders = [...onPath(), ...debian].filter((bin) => existsSync(join(bin, 'initdb')));
  return [...new Set(folders)].flatMap((bin) => {
    const major = majorOf(join(bin, 'postgres'));
    return major === undefined ? [] : [{ major, bin }];
  });
}

/** Folders of a `postgres` on PATH. Debian and others link only some programs there, so links are followed. */
function onPath(): string[] {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  return folders
    .map((folder) => join(folder, 'postgres'))
    .filter((program) => existsSync(program))
    .map((program) => dirname(realpathSync(program)));
}

function majorOf(postgres: string): number | undefined {
  const result = spawnSync(postgres, ['--version'], { encoding: 'utf8', timeout: 10_000 });
  const found = /^postgres \(PostgreSQL\) (\d+)/.exec(result.stdout ?? '');
  return found === null ? undefined : Number(found[1]);
}

if (import.meta.main) {
  const major = process.argv[2];
  const found = await findPostgres(major === undefined ? undefined : Number(major));
  process.stdout.write(`${found.bin}\n`);
}
