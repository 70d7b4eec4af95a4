import { WalholdError } from '../../base/errors.ts';
import { ensureLocked } from '../../store/lock-proof.ts';
import { readAll } from '../../store/read-all.ts';
import type { BackupRun } from './backup-run.ts';

/**
 * Creates an object in every repository. The same bytes under the key are as good, once they are locked where the repository locks.
 * Throws `conflict` for others, `unlocked`.
 */
export async function createInAll(
  { repositories, signal }: Pick<BackupRun, 'repositories' | 'signal'>,
  key: string,
  bytes: Uint8Array,
): Promise<void> {
  for (const { store, lock } of repositories) {
    if ((await store.create(key, { kind: 'buffer', bytes }, { signal })) === 'created') continue;
    // Perhaps it was our own, and the answer was lost.
    const found = await readAll(store, key, { signal, maxBytes: bytes.length + 1 }).catch(() => undefined);
    if (found?.bytes.equals(bytes) === true) {
      const { version } = found.info;
      if (lock !== undefined) await ensureLocked(store, key, lock, { signal, version });
      continue;
    }
    throw new WalholdError('conflict', `could not store ${key} in ${store.url}: the name is taken`, {
      hint: 'Take the backup again: it gets another name.',
    });
  }
}
