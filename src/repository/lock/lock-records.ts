import { hasCode, WalholdError } from '../../base/errors.ts';
import { readAll } from '../../store/read-all.ts';
import type { CallOptions } from '../../store/store.ts';
import { readAuthentic } from '../authentic.ts';
import { isLockRecordKey, LOCK_PREFIX, lockRecordKey } from '../layout.ts';
import type { Repository } from '../repository.ts';
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
/** Sooner or later there is one a second. */
const MOST_NAMES = 60;

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
      const found = await readRecord(repository, key, { signal, systemId });
      if (found !== undefined) return { newest: { key, record: found }, bad };
    } catch (error) {
      if (!hasCode(error, 'damaged', 'bad-format')) throw error;
      bad.push({ key, reason: error.detail ?? error.message });
    }
  }
  return { newest: undefined, bad };
}

async function readRecord(
  { store, url }: Repository,
  key: string,
  { systemId, signal }: CallOptions & { systemId: bigint },
): Promise<LockRecord | undefined> {
  const object = `${url}/${key}`;
  return await readAuthentic(store, key, { signal, maxBytes: LOCK_RECORD_MAX_BYTES }, ({ bytes }) => {
    const record = parseLockRecord(bytes, object);
    if (record.systemId === systemId && lockRecordKey(record.at) === key) return record;
    throw new WalholdError('damaged', `could not trust ${object}`, { detail: 'it speaks of another cluster or time' });
  });
}

/** Stores a record under the name of its time, or of the next second that is free. Resolves to its key. */
export async function storeRecord(
  { store, url }: Repository,
  record: LockRecord,
  { signal }: CallOptions,
): Promise<string> {
  for (let tries = 0; tries < MOST_NAMES; tries += 1) {
    const at = new Date(record.at.getTime() + tries * 1000);
    const key = lockRecordKey(at);
    const bytes = formatLockRecord({ ...record, at });
    if ((await store.create(key, { kind: 'buffer', bytes }, { signal })) === 'created') return key;
    // Perhaps it was our own, and the answer was lost.
    const found = await readAll(store, key, { signal, maxBytes: bytes.length + 1 }).catch(() => undefined);
    if (found?.bytes.equals(bytes) === true) return key;
  }
  throw new WalholdError('conflict', `could not store ${lockRecordKey(record.at)} in ${url}: the names are taken`, {
    hint: 'Run it again; two runs at the same time do no harm.',
  });
}
