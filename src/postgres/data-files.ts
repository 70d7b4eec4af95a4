import { relationFile, relationDirectory, isTemporaryRelationName } from './relation-file.ts';

/** What lies at a path below the data directory, without following links. */
export type PathKind = 'file' | 'directory' | 'symlink' | 'other';

/**
 * What a base backup does with it. `directory-only`: the directory goes in, its contents do not (a link to one counts as
 * one). `special`: neither file nor directory, left out, worth a warning.
 */
export type BackupChoice = 'keep' | 'skip' | 'directory-only' | 'special';

/** Contents that the server removes or makes anew at its start, whatever level they lie on (excludeDirContents). */
const DIRECTORY_ONLY: ReadonlySet<string> = new Set([
  'pg_stat_tmp',
  'pg_replslot',
  'pg_dynshmem',
  'pg_notify',
  'pg_serial',
  'pg_snapshots',
  'pg_subtrans',
]);

/** excludeFiles, on any level. */
const LEFT_OUT: ReadonlySet<string> = new Set([
  'postgresql.auto.conf.tmp',
  'current_logfiles.tmp',
  'backup_label',
  'tablespace_map',
  'backup_manifest',
  'postmaster.pid',
  'postmaster.opts',
]);

/** Directories below pg_wal that a server expects; it makes them itself at its start, so they are not in a backup. */
export const WAL_SUBDIRECTORIES: readonly string[] = ['pg_wal/archive_status', 'pg_wal/summaries'];

/**
 * The skip rules of PostgreSQL's own base backup (sendDir, backup/basebackup.c, 13 to 18), and one of ours: signal files
 * in the data directory itself would turn a restored copy into a standby. `path` is relative to the data directory, a
 * tablespace's contents under `pg_tblspc/OID/`. Unlogged relations depend on the neighbours: isUnloggedFork.
 */
export function classify(path: string, kind: PathKind): BackupChoice {
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (name.startsWith('pgsql_tmp') || name.startsWith('pg_internal.init') || LEFT_OUT.has(name)) return 'skip';
  if (!path.includes('/') && name.endsWith('.signal')) return 'skip';
  if (isTemporaryRelationName(name) && relationDirectory(path) === 'database') return 'skip';
  const directoryLike = kind === 'directory' || kind === 'symlink';
  if (directoryLike && (path === 'pg_wal' || DIRECTORY_ONLY.has(name))) return 'directory-only';
  if (kind === 'symlink' && /^pg_tblspc\/[1-9][0-9]*$/.test(path)) return 'keep';
  return kind === 'file' || kind === 'directory' ? 'keep' : 'special';
}

/** The relations of one directory that have an `_init` fork, that is, the unlogged ones. */
export function unloggedRelations(names: Iterable<string>): Set<string> {
  const found = new Set<string>();
  for (const name of names) {
    const match = /^([0-9]+)_init$/.exec(name);
    if (match?.[1] !== undefined) found.add(match[1]);
  }
  return found;
}

/**
 * Whether this is a fork of an unlogged relation other than its `_init` fork: emptied at the next start, so left out.
 * `unlogged` is unloggedRelations of the directory it lies in.
 */
export function isUnloggedFork(path: string, unlogged: ReadonlySet<string>): boolean {
  if (unlogged.size === 0 || relationDirectory(path) !== 'database') return false;
  const file = relationFile(path);
  return file !== undefined && file.fork !== 'init' && unlogged.has(file.relation);
}
