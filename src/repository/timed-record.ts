/** Records that runs leave under the name of the second in which they were made: created once, and believed under that name alone. */
import { WalholdError } from '../base/errors.ts';
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
