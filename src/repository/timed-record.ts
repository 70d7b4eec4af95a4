/** Records that runs leave under the name of the second in which they were made: created once, and believed under that name alone. */
import { hasCode, WalholdError } from '../base/errors.ts';
import { readAll } from '../store/read-all.ts';
import type { CallOptions } from '../store/store.ts';
import { readAuthentic } from './authentic.ts';
import type { Repository } from './repository.ts';

export interface TimedRecord {
  systemId: bigint;
  /** By the store's clock; its second is the name. */
  at: Date;
}

export interface RecordKind<T extends TimedRecord> {
  keyOf: (at: Date) => string;
  maxBytes: number;
  format: (record: T) => Buffer;
  /** `object` is for messages. Throws `bad-format` or `damaged`. */
  parse: (bytes: Uint8Array, object: string) => T;
}

/** Sooner or later there is one a second. */
export const MOST_NAMES = 60;
/** Clocks that are further apart than this are wrong. */
const MOST_SKEW_MS = 300_000;
/** An attacker can write many; they only cost what the record would spare. */
const MOST_BAD = 5;

export interface FoundTimed<T extends TimedRecord> {
  /** The newest that can be trusted; `undefined`: none. */
  newest: { key: string; record: T } | undefined;
  /** Keys and reasons of newer ones that cannot, and of those that say they come from the future. */
  bad: readonly { key: string; reason: string }[];
}

/** Finds the newest record of this cluster, of those that sort behind `after`. `now`: ms, by the store's clock. */
export async function newestTimedRecord<T extends TimedRecord>(
  repository: Pick<Repository, 'store' | 'url'>,
  kind: RecordKind<T> & { prefix: string; isKey: (key: string) => boolean },
  { systemId, now, after, signal }: CallOptions & { systemId: bigint; now: number; after?: string },
): Promise<FoundTimed<T>> {
  const keys: string[] = [];
  const range = after === undefined ? {} : { after };
  for await (const entry of repository.store.list(kind.prefix, { signal, delimited: true, ...range })) {
    if (entry.kind === 'object' && kind.isKey(entry.key)) keys.push(entry.key);
  }
  const bad: { key: string; reason: string }[] = [];
  const last = kind.keyOf(new Date(now + MOST_SKEW_MS));
  for (const key of keys.toReversed()) {
    if (bad.length >= MOST_BAD) break;
    if (key > last) {
      bad.push({ key, reason: 'it says that it comes from the future' });
      continue;
    }
    try {
      const record = await readTimedRecord(repository, key, kind, { signal, systemId });
      if (record !== undefined) return { newest: { key, record }, bad };
    } catch (error) {
      if (!hasCode(error, 'damaged', 'bad-format')) throw error;
      bad.push({ key, reason: error.detail ?? error.message });
    }
  }
  return { newest: undefined, bad };
}

/** `undefined`: it is gone. Throws `bad-format` or `damaged` for what cannot be trusted: of another cluster or name, too. */
export async function readTimedRecord<T extends TimedRecord>(
  { store, url }: Pick<Repository, 'store' | 'url'>,
  key: string,
  { keyOf, maxBytes, parse }: RecordKind<T>,
  { systemId, signal }: CallOptions & { systemId: bigint },
): Promise<T | undefined> {
  const object = `${url}/${key}`;
  return await readAuthentic(store, key, { signal, maxBytes }, ({ bytes }) => {
    const record = parse(bytes, object);
    if (record.systemId === systemId && keyOf(record.at) === key) return record;
    throw new WalholdError('damaged', `could not trust ${object}`, { detail: 'it speaks of another cluster or time' });
  });
}

/** Stores a record under the name of its time, or of the next second that is free. Resolves to its key. */
export async function storeTimedRecord<T extends TimedRecord>(
  { store, url }: Pick<Repository, 'store' | 'url'>,
  record: T,
  { keyOf, format }: RecordKind<T>,
  { signal, hint }: CallOptions & { hint?: string },
): Promise<string> {
  for (let tries = 0; tries < MOST_NAMES; tries += 1) {
    const at = new Date(record.at.getTime() + tries * 1000);
    const key = keyOf(at);
    const bytes = format({ ...record, at });
    if ((await store.create(key, { kind: 'buffer', bytes }, { signal })) === 'created') return key;
    // Perhaps it was our own, and the answer was lost.
    const found = await readAll(store, key, { signal, maxBytes: bytes.length + 1 }).catch(() => undefined);
    if (found?.bytes.equals(bytes) === true) return key;
  }
  const what = `could not store ${keyOf(record.at)} in ${url}: the names are taken`;
  throw new WalholdError('conflict', what, hint === undefined ? {} : { hint });
}
