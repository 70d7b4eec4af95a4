import { PROBE_KEY } from '../../repository/layout.ts';
import type { Repository } from '../../repository/repository.ts';
import { readAll } from '../../store/read-all.ts';
import type { CallOptions } from '../../store/store.ts';
import { failedLook, item, settingName, type CheckItem } from './check-item.ts';

/** Its beginning shows as much as all of it: in a store that ignores conditions it may have become large. */
const BEGINNING = { offset: 0, bytes: 1024 };

/**
 * Whether the probe is encrypted as asked, and can be read: which no object can be once its KMS key is disabled. The key's own state
 * is KMS's to tell; what is planned for it cannot be seen from here.
 */
export async function encryptionChecks(
  { number, store, settings }: Repository,
  { signal }: CallOptions,
): Promise<CheckItem[]> {
  const ask = store.probe?.encryption?.bind(store.probe);
  if (ask === undefined || settings.scheme === 'file') return [];
  const name = `${settingName(number)} encryption`;
  const { kmsKey } = settings;
  const expected = kmsKey === undefined ? "the store's own" : `by the KMS key ${kmsKey}, and readable`;
  try {
    const found = await ask(PROBE_KEY, { signal });
    await readAll(store, PROBE_KEY, { signal, range: BEGINNING, maxBytes: BEGINNING.bytes });
    const method = found === undefined ? 'none' : found.method;
    const text = found?.kmsKey === undefined ? method : `${method}, key ${found.kmsKey}`;
    if (kmsKey === undefined) return [item(name, true, text, expected)];
    // Asked by an alias, the store answers with the key: only a key by its identifier can be held against that.
    const other = found?.kmsKey !== undefined && !kmsKey.includes('alias/') && !found.kmsKey.endsWith(idOf(kmsKey));
    if (found?.kmsKey === undefined || other) {
      const hint =
        'Advice: if the setting is newer than this object, it counts for new ones; look at it again after a push.';
      return [item(name, found?.kmsKey !== undefined, text, expected, hint)];
    }
    const hint = 'Advice: protect the key itself: who deletes it deletes every backup, whatever is locked.';
    return [item(name, true, text, expected, hint)];
  } catch (error) {
    signal.throwIfAborted();
    return [failedLook(name, expected, error)];
  }
}

/** Of a key's ARN, or of the identifier alone. */
function idOf(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1);
}
