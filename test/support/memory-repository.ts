import { parseWalName } from '../../src/postgres/wal-name.ts';
import { formatIdentity } from '../../src/repository/identity.ts';
import { IDENTITY_KEY } from '../../src/repository/layout.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { prepareWal, type PreparedWal } from '../../src/repository/wal-object.ts';
import { withLocks } from '../../src/store/with-locks.ts';
import { SYSTEM_ID } from './file-repository.ts';
import { MemoryStore, NOW, type MemoryStoreOptions } from './memory-store.ts';

export interface MemoryRepository {
  memory: MemoryStore;
  repository: Repository;
}

/** A repository in memory with its identity; what it creates is locked where `lock` says so. */
export function memoryRepository(
  options: MemoryStoreOptions & { number?: number; lock?: Repository['lock'] } = {},
): MemoryRepository {
  const { number = 1, lock, ...rest } = options;
  const memory = new MemoryStore(rest, `memory://${number}`);
  const store = lock === undefined ? memory.store : withLocks(memory.store, lock);
  const settings = { scheme: 's3' as const, bucket: 'memory', prefix: String(number) };
  const retention = { windowMs: undefined, fullBackups: 2 };
  memory.put(
    IDENTITY_KEY,
    formatIdentity({ format: 1, systemId: SYSTEM_ID, createdAt: NOW.toISOString(), by: 'a test' }),
  );
  return { memory, repository: { number, url: store.url, settings, lock, retention, strangers: [], store } };
}

/** A WAL file as a push makes it. */
export function preparedWal(name: string, plain: Buffer, { level = 1 }: { level?: number } = {}): PreparedWal {
  const file = parseWalName(name);
  if (file === undefined) throw new Error(`${name} is no WAL file`);
  return prepareWal(file, plain, { cluster: { systemId: SYSTEM_ID }, level, by: 'walhold on here', at: NOW });
}
