import type { CallOptions, Store } from '../store/store.ts';
import { readAll } from '../store/read-all.ts';
import { oldestAuthentic, type WhichVersion } from './authentic.ts';
import type { StoredRecord } from './backup-record.ts';
import { damaged, parseTail, TAIL_BYTES } from './object-head.ts';

/** What `backup.json` says of a part: enough to know it by. */
export type PartMark = Pick<StoredRecord, 'storedBytes' | 'sha256' | 'crc32c'>;

/**
 * {@link oldestAuthentic} for an object that is read by ranges: before any version but the oldest is read, its size and its end must be
 * those of the record. The `read` must prove what it reads, since an end can be copied.
 */
export async function oldestAuthenticPart<T>(
  store: Store,
  key: string,
  mark: PartMark,
  { signal }: CallOptions,
  read: (which: WhichVersion) => Promise<T | undefined>,
): Promise<T | undefined> {
  const fits = ({ bytes }: { bytes: number }): boolean => bytes === mark.storedBytes;
  return await oldestAuthentic(store, key, { signal, fits }, async (which) => {
    if (which.version !== undefined) await requireTail(store, key, mark, { signal, version: which.version });
    return await read(which);
  });
}

async function requireTail(
  store: Store,
  key: string,
  mark: PartMark,
  { signal, version }: CallOptions & { version: string },
): Promise<void> {
  const range = { offset: -TAIL_BYTES };
  const found = await readAll(store, key, { signal, version, range, maxBytes: TAIL_BYTES });
  const object = `${store.url}/${key}`;
  const tail = parseTail(found?.bytes ?? Buffer.alloc(0), object);
  if (tail.sha256 !== mark.sha256 || tail.storedCrc32c !== mark.crc32c) {
    throw damaged(object, 'its end describes other bytes than the record does');
  }
}
