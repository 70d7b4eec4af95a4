import { hasCode, WalholdError } from '../base/errors.ts';
import { isSegmentSize } from '../postgres/wal-name.ts';
import type { CallOptions } from '../store/store.ts';
import type { BackupSummary } from './backups.ts';
import { parseWalKey, WAL_PREFIX } from './layout.ts';
import { firstThatWorks, type Repository } from './repository.ts';
import { readStoredHead } from './stored-head.ts';

/**
 * The cluster's WAL segment size: a backup's record says it, else the head of any stored segment, one short listing away.
 * `undefined`: neither a backup nor a segment is stored.
 */
export async function storedSegmentSize(
  repositories: readonly Repository[],
  backups: readonly { summary: Pick<BackupSummary, 'server'> }[],
  options: CallOptions,
): Promise<number | undefined> {
  const [backup] = backups;
  if (backup !== undefined) return backup.summary.server.segmentBytes;
  const { value } = await firstThatWorks(repositories, (repository) => ofFirstSegment(repository, options));
  return value;
}

/** So many objects that are nothing may lie before the first segment. */
const MOST_DAMAGED = 20;

async function ofFirstSegment(repository: Repository, options: CallOptions): Promise<number | undefined> {
  const damaged: unknown[] = [];
  // Beside segments there are only labels, partials and histories, which are few.
  for await (const entry of repository.store.list(WAL_PREFIX, { signal: options.signal, limit: 100 })) {
    if (entry.kind === 'directory' || parseWalKey(entry.key)?.file.kind !== 'segment') continue;
    try {
      const bytes = await ofSegment(repository, entry.key, options);
      if (bytes !== undefined) return bytes;
    } catch (error) {
      if (!hasCode(error, 'damaged')) throw error;
      damaged.push(error);
      if (damaged.length === MOST_DAMAGED) break;
    }
  }
  if (damaged.length > 0) throw damaged[0];
  return undefined;
}

async function ofSegment({ store, url }: Repository, key: string, options: CallOptions): Promise<number | undefined> {
  const found = await readStoredHead(store, key, options);
  if (found === undefined || isSegmentSize(found.head.bytes)) return found?.head.bytes;
  throw new WalholdError('damaged', `could not trust ${url}/${key}`, {
    detail: `it says that it holds ${found.head.bytes} bytes, which no segment does`,
    hint: 'See "walhold verify".',
  });
}
