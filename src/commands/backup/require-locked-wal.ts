import { mapParallel } from '../../base/parallel.ts';
import { parseWalName } from '../../postgres/wal-name.ts';
import { walKey } from '../../repository/layout.ts';
import type { Repository } from '../../repository/repository.ts';
import { ensureLocked } from '../../store/lock-proof.ts';
import type { CallOptions } from '../../store/store.ts';

/**
 * A locked backup is worth nothing without its WAL: each of these files (segments, which are stored, and histories, if they are) must be locked in every repository that locks.
 * Throws `unlocked` for the first that cannot be.
 */
export async function requireLockedWal(
  repositories: readonly Repository[],
  names: readonly string[],
  { signal, jobs }: CallOptions & { jobs: number },
): Promise<void> {
  for (const { store, lock } of repositories) {
    if (lock === undefined) continue;
    await mapParallel(names, jobs, async (name) => {
      const file = parseWalName(name);
      if (file === undefined || file.kind === 'partial') return;
      const key = walKey(file);
      // A segment was seen there; a history file may be nowhere, which is a warning of its own.
      if (file.kind === 'history' && (await store.stat(key, { signal })) === undefined) return;
      await ensureLocked(store, key, lock, { signal });
    });
  }
}
