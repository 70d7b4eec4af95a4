import type { CallOptions } from '../store/store.ts';
import { BACKUP_PREFIX, commitKey, type BackupId } from './layout.ts';
import type { Repository } from './repository.ts';

/** By repository the versions of `backup.json` that a bulk listing has shown to be the oldest, by key. */
export type Commits = ReadonlyMap<Repository, ReadonlyMap<string, string>>;

/** Fewer are asked for one by one. */
const FEW = 16;
const PAGE = 1000;
const MOST_PAGES = 20;

/**
 * Where names have versions, each record costs a listing to tell which is the oldest. A bulk listing tells of many at once; it goes no
 * further than to a tenth of the requests that it can spare, for backups can have many parts.
 */
export async function listCommits(
  repositories: readonly Repository[],
  holders: ReadonlyMap<BackupId, readonly Repository[]>,
  { signal }: CallOptions,
): Promise<Commits> {
  const commits = new Map<Repository, ReadonlyMap<string, string>>();
  for (const repository of repositories.filter(({ store }) => store.versions !== undefined)) {
    const wanted = new Set([...holders].flatMap(([id, where]) => (where.includes(repository) ? [commitKey(id)] : [])));
    if (wanted.size <= FEW) continue;
    const versions = new Map<string, string>();
    let left = PAGE * Math.min(MOST_PAGES, Math.ceil(wanted.size / 10));
    for await (const entry of repository.store.list(BACKUP_PREFIX, { signal })) {
      if (entry.kind === 'object' && entry.version !== undefined && wanted.has(entry.key)) {
        versions.set(entry.key, entry.version);
      }
      if ((left -= 1) === 0) break;
    }
    commits.set(repository, versions);
  }
  return commits;
}
