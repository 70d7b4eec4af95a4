/**
 * Which backups are stored, over all repositories together: one delimited listing each, then each `backup.json` once. A directory
 * without that file is an upload that did not end, or has not yet: no backup.
 */
import { mapParallel } from '../base/parallel.ts';
import { hasCode } from '../base/errors.ts';
import type { CallOptions } from '../store/store.ts';
import { readAuthentic } from './authentic.ts';
import { listCommits, type Commits } from './backup-commits.ts';
import { parseBackupRecord, RECORD_MAX_BYTES } from './backup-record-parse.ts';
import type { BackupRecord } from './backup-record.ts';
import { BACKUP_PREFIX, commitKey, parseBackupId, type BackupId } from './layout.ts';
import { firstThatWorks, worstOf, type Repository, type RepositoryFailure } from './repository.ts';

/** A backup without the list of its files, which can be long: many fit into memory at once. */
export type BackupSummary = Omit<BackupRecord, 'parts'>;

export interface StoredBackup {
  summary: BackupSummary;
  /** The repositories that hold it whole, by number, rising. */
  repositories: readonly number[];
}

export interface BackupList {
  /** Oldest first. */
  backups: readonly StoredBackup[];
  /** Identifiers of uploads that no `backup.json` completes in any repository. */
  unfinished: readonly BackupId[];
  /** `backup.json` files that cannot be trusted, in every repository that has them. */
  damaged: readonly { id: BackupId; error: unknown }[];
  /** Repositories that could not be listed: what only they hold is missing here. At least one could. */
  failures: readonly RepositoryFailure[];
}

/** Throws what the stores say only if none of them could be listed. */
export async function readBackups(
  repositories: readonly Repository[],
  options: CallOptions & { jobs: number; systemId?: bigint | undefined },
): Promise<BackupList> {
  const { holders, listed, failures } = await listBackupIds(repositories, options);
  if (listed === 0) throw worstOf(failures);
  const commits = await listCommits(repositories, holders, options);
  const found = await mapParallel([...holders], options.jobs, ([id, where]) => lookAt(id, where, commits, options));
  return {
    backups: found.flatMap((one) => (one.kind === 'backup' ? [one.backup] : [])),
    unfinished: found.flatMap((one) => (one.kind === 'unfinished' ? [one.id] : [])),
    damaged: found.flatMap((one) => (one.kind === 'damaged' ? [one] : [])),
    failures,
  };
}

/** The whole record of one backup, from the first repository that has it. `undefined`: no such backup in any of them. */
export async function readBackup(
  repositories: readonly Repository[],
  id: BackupId,
  options: CallOptions & { systemId?: bigint | undefined },
): Promise<{ record: BackupRecord; from: Repository } | undefined> {
  const { value, from } = await firstThatWorks(repositories, (repository) => readRecord(repository, id, options));
  return value === undefined || from === undefined ? undefined : { record: value, from };
}

/**
 * One repository's `backup.json`; of several versions the oldest that is of the cluster `systemId`, where that is known. `undefined`: it
 * has none. Throws `damaged` or `bad-format` for one that cannot be trusted.
 */
export async function readRecord(
  { store, url }: Repository,
  id: BackupId,
  { signal, systemId, oldest }: CallOptions & { systemId?: bigint | undefined; oldest?: string | undefined },
): Promise<BackupRecord | undefined> {
  const key = commitKey(id);
  const accepts = ({ server }: BackupRecord): boolean => systemId === undefined || server.systemId === systemId;
  return await readAuthentic(store, key, { signal, oldest, accepts, maxBytes: RECORD_MAX_BYTES }, ({ bytes }) =>
    parseBackupRecord(bytes, id, `${url}/${key}`),
  );
}

/** Identifiers of all that lies in `backup/`, begun or complete, oldest first, and who has it. `listed`: how many could be asked. */
export async function listBackupIds(
  repositories: readonly Repository[],
  { signal }: CallOptions,
): Promise<{ holders: Map<BackupId, Repository[]>; listed: number; failures: RepositoryFailure[] }> {
  const failures: RepositoryFailure[] = [];
  const found: [BackupId, Repository][] = [];
  let listed = 0;
  for (const repository of repositories) {
    try {
      for await (const entry of repository.store.list(BACKUP_PREFIX, { signal, delimited: true })) {
        const id = entry.kind === 'directory' ? parseBackupId(entry.prefix.slice(BACKUP_PREFIX.length, -1)) : undefined;
        if (id !== undefined) found.push([id, repository]);
      }
      listed += 1;
    } catch (error) {
      signal.throwIfAborted();
      failures.push({ repository, error });
    }
  }
  const holders = new Map<BackupId, Repository[]>();
  for (const [id, repository] of found.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))) {
    holders.set(id, [...(holders.get(id) ?? []), repository]);
  }
  return { holders, listed, failures };
}

type Found =
  | { kind: 'backup'; backup: StoredBackup }
  | { kind: 'unfinished'; id: BackupId }
  | { kind: 'damaged'; id: BackupId; error: unknown };

/** The record is read where it can be trusted first; elsewhere its being there is enough. */
async function lookAt(
  id: BackupId,
  where: readonly Repository[],
  commits: Commits,
  options: CallOptions & { systemId?: bigint | undefined },
): Promise<Found> {
  let summary: BackupSummary | undefined;
  let error: unknown;
  const whole: number[] = [];
  for (const repository of where) {
    try {
      if (summary === undefined) {
        const oldest = commits.get(repository)?.get(commitKey(id));
        const record = await readRecord(repository, id, { ...options, oldest });
        if (record === undefined) continue;
        const { parts: _, ...rest } = record;
        summary = rest;
      } else if ((await repository.store.stat(commitKey(id), options)) === undefined) continue;
      whole.push(repository.number);
    } catch (caught) {
      if (!hasCode(caught, 'damaged', 'bad-format')) throw caught;
      error ??= caught;
    }
  }
  if (summary !== undefined) return { kind: 'backup', backup: { summary, repositories: whole } };
  return error === undefined ? { kind: 'unfinished', id } : { kind: 'damaged', id, error };
}
