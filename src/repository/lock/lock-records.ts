import { hasCode } from '../../base/errors.ts';
import type { CallOptions } from '../../store/store.ts';
import { isLockRecordKey, LOCK_PREFIX, lockRecordKey } from '../layout.ts';
import type { Repository } from '../repository.ts';
import { readTimedRecord, storeTimedRecord, type RecordKind } from '../timed-record.ts';
import { formatLockRecord, LOCK_RECORD_MAX_BYTES, parseLockRecord, type LockRecord } from './lock-record.ts';

export interface FoundRecord {
  key: string;
  record: LockRecord;
}

export interface FoundRecords {
  /** The newest that can be trusted so far; `undefined`: none. */
  newest: FoundRecord | undefined;
  /** Keys and reasons of newer ones that cannot, and of those that say they come from the future. */
  bad: readonly { key: string; reason: string }[];
}

/** Clocks that are further apart than this are wrong. */
const MOST_SKEW_MS = 300_000;
/** An attacker can write many; they only cost the time to ask again. */
const MOST_BAD = 5;

const LOCK_RECORD: RecordKind<LockRecord> = {
  keyOf: lockRecordKey,
  maxBytes: LOCK_RECORD_MAX_BYTES,
  format: formatLockRecord,
  parse: parseLockRecord,
};

/** Finds the newest record of this cluster not older than `maxAgeMs` before `now` (both by the store's clock). */
export async function newestRecord(
  repository: Repository,
  { systemId, now, maxAgeMs, signal }: CallOptions & { systemId: bigint; now: number; maxAgeMs: number },
): Promise<FoundRecords> {
  const keys: string[] = [];
  const after = lockRecordKey(new Date(Math.max(0, now - maxAgeMs)));
  for await (const entry of repository.store.list(LOCK_PREFIX, { signal, delimited: true, after })) {
    if (entry.kind === 'object' && isLockRecordKey(entry.key)) keys.push(entry.key);
  }
  const bad: { key: string; reason: string }[] = [];
  const last = lockRecordKey(new Date(now + MOST_SKEW_MS));
  for (const key of keys.toReversed()) {
    if (bad.length >= MOST_BAD) break;
    if (key > last) {
      bad.push({ key, reason: 'it says that it comes from the future' });
      continue;
    }
    try {
      const found = await readTimedRecord(repository, key, LOCK_RECORD, { signal, systemId });
      if (found !== undefined) return { newest: { key, record: found }, bad };
    } catch (error) {
      if (!hasCode(error, 'damaged', 'bad-format')) throw error;
      bad.push({ key, reason: error.detail ?? error.message });
    }
  }
  return { newest: undefined, bad };
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
