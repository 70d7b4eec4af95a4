import { hasCode } from '../base/errors.ts';
import type { WalFile } from '../postgres/wal-name.ts';
import { readAll } from '../store/read-all.ts';
import type { CallOptions, ObjectInfo } from '../store/store.ts';
import { parseWalKey, partialPrefix, walKey } from './layout.ts';
import { decodeObject } from './object-codec.ts';
import { HEAD_MAX_BYTES, type ObjectHead } from './object-head.ts';
import type { Repository } from './repository.ts';
import { WAL_MAX_BYTES } from './wal-content.ts';

/** One version of one repository's object under a WAL file's name, read whole. Of partials there can be several objects. */
export interface StoredCopy {
  repository: Repository;
  key: string;
  /** Where the name has several. */
  version: string | undefined;
  /** `damaged`: it cannot be trusted; the error says why. */
  content: { kind: 'read'; info: ObjectInfo; head: ObjectHead; plain: Buffer } | { kind: 'damaged'; error: unknown };
}

/** More versions of one name are not looked at one by one. */
export const MOST_COPIES = 20;

/**
 * All objects under that name in one repository, of each all versions that a reader may believe, oldest first; none: proven absent.
 * Throws what the store says.
 */
export async function readCopies(repository: Repository, file: WalFile, options: CallOptions): Promise<StoredCopy[]> {
  const copies: StoredCopy[] = [];
  for (const key of await keysOf(repository, file, options)) {
    const versions = (await repository.store.candidates?.(key, options)) ?? [];
    // With one or none there is nothing to choose from, and the store gives what it has.
    const wanted = versions.length > 1 ? versions.slice(0, MOST_COPIES).map(({ version }) => version) : [undefined];
    for (const version of wanted) {
      const copy = await readCopy(repository, key, version, options);
      if (copy !== undefined) copies.push(copy);
    }
  }
  return copies;
}

async function readCopy(
  repository: Repository,
  key: string,
  version: string | undefined,
  { signal }: CallOptions,
): Promise<StoredCopy | undefined> {
  const { store, url } = repository;
  const which = version === undefined ? {} : { version };
  try {
    const found = await readAll(store, key, { signal, ...which, maxBytes: WAL_MAX_BYTES + HEAD_MAX_BYTES });
    if (found === undefined) return undefined;
    const { head, plain } = decodeObject(found.bytes, `${url}/${key}`, WAL_MAX_BYTES);
    return { repository, key, version, content: { kind: 'read', info: found.info, head, plain } };
  } catch (error) {
    if (!hasCode(error, 'damaged')) throw error;
    return { repository, key, version, content: { kind: 'damaged', error } };
  }
}

async function keysOf({ store }: Repository, file: WalFile, { signal }: CallOptions): Promise<string[]> {
  if (file.kind !== 'partial') return [walKey(file)];
  const keys: string[] = [];
  for await (const entry of store.list(partialPrefix(file.segment), { signal })) {
    if (entry.kind === 'object' && parseWalKey(entry.key)?.file.kind === 'partial') keys.push(entry.key);
  }
  return keys;
}
