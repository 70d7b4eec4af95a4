import { readAll } from '../store/read-all.ts';
import type { CallOptions, ObjectInfo, Store } from '../store/store.ts';
import { HEAD_MAX_BYTES, parseHead, type ParsedHead } from './object-head.ts';

/** One small ranged read: what the object says of itself. `undefined`: proven absent. Throws `damaged`. */
export async function readStoredHead(
  store: Store,
  key: string,
  { signal }: CallOptions,
): Promise<(ParsedHead & { info: ObjectInfo }) | undefined> {
  const range = { offset: 0, bytes: HEAD_MAX_BYTES };
  const found = await readAll(store, key, { signal, range, maxBytes: HEAD_MAX_BYTES });
  return found === undefined ? undefined : { ...parseHead(found.bytes, `${store.url}/${key}`), info: found.info };
}
