import { WalholdError } from '../../base/errors.ts';
import { readAll } from '../../store/read-all.ts';
import type { BackupRun } from './backup-run.ts';

/** Creates an object in every repository. The same bytes under the key are as good. Throws `conflict` for others. */
export async function createInAll({ repositories, signal }: BackupRun, key: string, bytes: Uint8Array): Promise<void> {
  for (const { store } of repositories) {
    if ((await store.create(key, { kind: 'buffer', bytes }, { signal })) === 'created') continue;
    // Perhaps it was our own, and the answer was lost.
    const found = await readAll(store, key, { signal, maxBytes: bytes.length + 1 }).catch(() => undefined);
    if (found?.bytes.equals(bytes) === true) continue;
    throw new WalholdError('conflict', `could not store ${key} in ${store.url}: the name is taken`, {
      hint: 'Take the backup again: it gets another name.',
    });
  }
}
