import { WalholdError } from '../base/errors.ts';
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

async function ofFirstSegment({ store, url }: Repository, { signal }: CallOptions): Promise<number | undefined> {
  // Beside segments there are only labels, partials and histories, which are few.
  for await (const entry of store.list(WAL_PREFIX, { signal, limit: 100 })) {
    if (entry.kind === 'directory' || parseWalKey(entry.key)?.file.kind !== 'segment') continue;
    const found = await readStoredHead(store, entry.key, { signal });
    if (found === undefined) continue;
    if (isSegmentSize(found.head.bytes)) return found.head.bytes;
    throw new WalholdError('damaged', `could not trust ${url}/${entry.key}`, {
      detail: `it says that it holds ${found.head.bytes} bytes, which no segment does`,
      hint: 'See "walhold verify".',
    });
  }
  return undefined;
}
