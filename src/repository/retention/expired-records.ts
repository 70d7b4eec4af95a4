import { hasCode, WalholdError } from '../../base/errors.ts';
import { readAll } from '../../store/read-all.ts';
import type { CallOptions, ObjectInfo } from '../../store/store.ts';
import { EXPIRED_PREFIX, expiredKey, isExpiredKey, type BackupId } from '../layout.ts';
import type { Repository } from '../repository.ts';
import { MOST_NAMES, readTimedRecord, type RecordKind } from '../timed-record.ts';
import {
  EXPIRED_MAX_BYTES,
  formatExpiredRecord,
  parseExpiredRecord,
  type ExpiredRange,
  type ExpiredRecord,
} from './expired-record.ts';

export interface FoundExpired {
  /** The newest that can be trusted; `undefined`: none. */
  newest: ExpiredRecord | undefined;
  /** All that the records read say to be given up; those older than `since` (ms, or Infinity) are not read but for the newest. */
  backups: ReadonlySet<BackupId>;
}

/** An attacker can write many; they only cost that runs which were broken off are finished later. */
const MOST_BAD = 5;
const MOST_READ = 50;
/** Sorts behind every record. */
const BEHIND_ALL: string = `${EXPIRED_PREFIX}~`;

const EXPIRED_RECORD: RecordKind<ExpiredRecord> = {
  keyOf: expiredKey,
  maxBytes: EXPIRED_MAX_BYTES,
  format: formatExpiredRecord,
  parse: parseExpiredRecord,
};

/** The newest record of this cluster, and the backups that it and those not older than `since` (ms) name. */
export async function readExpired(
  repository: Repository,
  { systemId, since, signal }: CallOptions & { systemId: bigint; since: number },
): Promise<FoundExpired> {
  const keys: string[] = [];
  for await (const entry of repository.store.list(EXPIRED_PREFIX, { signal, delimited: true })) {
    if (entry.kind === 'object' && isExpiredKey(entry.key)) keys.push(entry.key);
  }
  const oldest = since === Infinity ? BEHIND_ALL : expiredKey(new Date(Math.max(0, since)));
  const backups = new Set<BackupId>();
  let newest: ExpiredRecord | undefined;
  let bad = 0;
  for (const key of keys.toReversed().slice(0, MOST_READ)) {
    if (bad >= MOST_BAD || (newest !== undefined && key < oldest)) break;
    const record = await readRecord(repository, key, { signal, systemId });
    if (record === undefined) bad += 1;
    newest ??= record;
    for (const id of record?.backups ?? []) backups.add(id);
  }
  return { newest, backups };
}

/** What runs of `expire` gave up in any of the repositories. Asked only where there is a gap that it could explain. */
export async function expiredIn(
  repositories: readonly Repository[],
  gaps: readonly unknown[],
  { systemId, signal }: CallOptions & { systemId: bigint },
): Promise<ExpiredRange[]> {
  if (gaps.length === 0) return [];
  const ranges: ExpiredRange[] = [];
  for (const repository of repositories) {
    const { newest } = await readExpired(repository, { systemId, since: Infinity, signal });
    ranges.push(...(newest?.wal ?? []));
  }
  return ranges;
}

/** `undefined`: gone, or nothing to trust. */
async function readRecord(
  repository: Repository,
  key: string,
  options: CallOptions & { systemId: bigint },
): Promise<ExpiredRecord | undefined> {
  try {
    return await readTimedRecord(repository, key, EXPIRED_RECORD, options);
  } catch (error) {
    if (hasCode(error, 'damaged', 'bad-format')) return undefined;
    throw error;
  }
}

/** Stores a record under the name of its time, or of the next second that is free. Resolves to what the store says of it. */
export async function storeExpired(
  { store, url }: Repository,
  record: ExpiredRecord,
  { signal }: CallOptions,
): Promise<ObjectInfo> {
  for (let tries = 0; tries < MOST_NAMES; tries += 1) {
    const at = new Date(record.at.getTime() + tries * 1000);
    const key = expiredKey(at);
    const bytes = formatExpiredRecord({ ...record, at });
    const outcome = await store.create(key, { kind: 'buffer', bytes }, { signal });
    // A taken name may be our own, of which the answer was lost.
    const found = await readAll(store, key, { signal, maxBytes: bytes.length + 1 }).catch((error: unknown) => {
      if (outcome === 'exists' && hasCode(error, 'damaged')) return undefined;
      throw error;
    });
    if (found?.bytes.equals(bytes) === true) return found.info;
  }
  throw new WalholdError('conflict', `could not store ${expiredKey(record.at)} in ${url}: the names are taken`, {
    hint: 'Run it again.',
  });
}
