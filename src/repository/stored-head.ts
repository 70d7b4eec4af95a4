import type { CallOptions, ObjectInfo, Store } from '../store/store.ts';
import { readAuthentic } from './authentic.ts';
import { parseWalKey } from './layout.ts';
import { damaged, HEAD_MAX_BYTES, parseHead, type ParsedHead } from './object-head.ts';

/**
 * One small ranged read: what a WAL object says of itself. `undefined`: proven absent. Throws `damaged`, also for one that says it is
 * something else, or of another cluster than `systemId`.
 */
export async function readStoredHead(
  store: Store,
  key: string,
  { signal, systemId }: CallOptions & { systemId?: bigint },
): Promise<(ParsedHead & { info: ObjectInfo }) | undefined> {
  const range = { offset: 0, bytes: HEAD_MAX_BYTES };
  return await readAuthentic(store, key, { signal, range, maxBytes: HEAD_MAX_BYTES }, ({ bytes, info }) => {
    const object = `${store.url}/${key}`;
    const parsed = parseHead(bytes, object);
    const { kind, name, systemId: owner } = parsed.head;
    const file = parseWalKey(key)?.file;
    if (file?.kind !== kind || file.name !== name) throw damaged(object, `it says that it is ${kind} ${name}`);
    if (systemId !== undefined && owner !== String(systemId)) {
      throw damaged(object, `it says that it belongs to cluster ${owner}`);
    }
    return { ...parsed, info };
  });
}
