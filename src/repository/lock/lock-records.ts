import type { CallOptions } from '../../store/store.ts';
import { isLockRecordKey, LOCK_PREFIX, lockRecordKey } from '../layout.ts';
import type { Repository } from '../repository.ts';
import { newestTimedRecord, storeTimedRecord, type FoundTimed } from '../timed-record.ts';
import { formatLockRecord, LOCK_RECORD_MAX_BYTES, parseLockRecord, type LockRecord } from './lock-record.ts';

export type FoundRecords = FoundTimed<LockRecord>;
export type FoundRecord = NonNullable<FoundRecords['newest']>;

const LOCK_RECORD = {
  prefix: LOCK_PREFIX,
  isKey: isLockRecordKey,
  keyOf: lockRecordKey,
  maxBytes: LOCK_RECORD_MAX_BYTES,
  format: formatLockRecord,
  parse: parseLockRecord,
} as const;

/** Finds the newest record of this cluster not older than `maxAgeMs` before `now` (both by the store's clock). */
export async function newestRecord(
  repository: Repository,
  { systemId, now, maxAgeMs, signal }: CallOptions & { systemId: bigint; now: number; maxAgeMs: number },
): Promise<FoundRecords> {
  const after = lockRecordKey(new Date(Math.max(0, now - maxAgeMs)));
  return await newestTimedRecord(repository, LOCK_RECORD, { signal, systemId, now, after });
}

/** Stores a record under the name of its time, or of the next second that is free. Resolves to its key. */
export async function storeRecord(
  repository: Repository,
  record: LockRecord,
  { signal }: CallOptions,
): Promise<string> {
  const hint = 'Run it again; two runs at the same time do no harm.';
  return await storeTimedRecord(repository, record, LOCK_RECORD, { signal, hint });
}
