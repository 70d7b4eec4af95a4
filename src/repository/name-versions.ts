import { hasCode } from '../base/errors.ts';
import type { CallOptions, Protection, Store } from '../store/store.ts';

/** One version of a name, or a delete marker among them. */
export interface NameVersion {
  key: string;
  kind: 'version' | 'marker';
  /** `undefined`: the store keeps one content for a name. */
  version: string | undefined;
  storedAt: Date;
  bytes: number;
  /** The store's own name for these very bytes; of a marker nothing. */
  tag: string;
  /** What the store itself gives for the name. */
  current: boolean;
  /** `undefined`: none, or these credentials may not see it. */
  protection: Protection | undefined;
}

/**
 * All that lies under one key, the oldest first; none: proven absent. Where versions cannot be listed, it is what the store gives (of
 * which it warns). Throws what the store says.
 */
export async function readVersions(store: Store, key: string, { signal }: CallOptions): Promise<NameVersion[]> {
  const versions: NameVersion[] = [];
  let seen = store.versions !== undefined;
  try {
    for await (const entry of store.versions?.list(key, { signal }) ?? []) {
      if (entry.kind === 'directory' || entry.key !== key) continue;
      const { kind, version, storedAt, current } = entry;
      const { bytes, tag } = entry.kind === 'version' ? entry : { bytes: 0, tag: '' };
      versions.push({ key, kind, version, storedAt, bytes, tag, current, protection: undefined });
    }
  } catch (error) {
    if (!hasCode(error, 'denied', 'unsupported')) throw error;
    seen = false;
  }
  if (!seen) {
    const info = await store.stat(key, { signal });
    if (info === undefined) return [];
    const { version, storedAt, bytes, tag } = info;
    versions.push({ key, kind: 'version', version, storedAt, bytes, tag, current: true, protection: undefined });
  }
  for (const one of versions) {
    if (one.kind === 'version') one.protection = await protectionOf(store, one, { signal });
  }
  return versions;
}

async function protectionOf(
  { locks }: Store,
  { key, version }: NameVersion,
  { signal }: CallOptions,
): Promise<Protection | undefined> {
  try {
    return await locks?.look(key, version === undefined ? { signal } : { signal, version });
  } catch (error) {
    if (hasCode(error, 'denied', 'unsupported')) return undefined;
    throw error;
  }
}
