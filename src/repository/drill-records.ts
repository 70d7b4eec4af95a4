import { hasCode, WalholdError } from '../base/errors.ts';
import { readAll } from '../store/read-all.ts';
import type { CallOptions } from '../store/store.ts';
import { readAuthentic } from './authentic.ts';
import { DRILL_RECORD_MAX_BYTES, formatDrillRecord, parseDrillRecord, type DrillRecord } from './drill-record.ts';
import { DRILL_PREFIX, drillKey, isDrillKey } from './layout.ts';
import type { Repository, RepositoryFailure } from './repository.ts';

/** What drills have shown, over all repositories. */
export interface KnownDrills {
  /** The newest, however it went; `undefined`: there was none. */
  last: DrillRecord | undefined;
  /** The newest that found all well. */
  proven: DrillRecord | undefined;
  failures: readonly RepositoryFailure[];
}

/** Sooner or later there is one a second. */
const MOST_NAMES = 60;
/** Looking for a drill that went well ends here: what is older proves little. */
const MOST_READ = 20;
/** Names ahead of the clock by more than this are not believed. */
const MOST_SKEW_MS = 300_000;

/** A few reads in each repository; records that cannot be trusted are passed over. */
export async function readKnownDrills(
  repositories: readonly Repository[],
  options: CallOptions & { systemId: bigint; now: number },
): Promise<KnownDrills> {
  const found: DrillRecord[] = [];
  const failures: RepositoryFailure[] = [];
  for (const repository of repositories) {
    try {
      found.push(...(await newestDrills(repository, options)));
    } catch (error) {
      options.signal.throwIfAborted();
      failures.push({ repository, error });
    }
  }
  found.sort((a, b) => b.at.getTime() - a.at.getTime());
  return { last: found[0], proven: found.find(({ ok }) => ok), failures };
}

/** Newest first, up to the first that went well. */
async function newestDrills(
  repository: Repository,
  { systemId, now, signal }: CallOptions & { systemId: bigint; now: number },
): Promise<DrillRecord[]> {
  const keys: string[] = [];
  const last = drillKey(new Date(now + (repository.store.clockSkewMs?.() ?? 0) + MOST_SKEW_MS));
  for await (const entry of repository.store.list(DRILL_PREFIX, { signal, delimited: true })) {
    if (entry.kind === 'object' && isDrillKey(entry.key) && entry.key <= last) keys.push(entry.key);
  }
  const records: DrillRecord[] = [];
  for (const key of keys.toReversed().slice(0, MOST_READ)) {
    const record = await readDrill(repository, key, { systemId, signal });
    if (record !== undefined) records.push(record);
    if (record?.ok === true) break;
  }
  return records;
}

/** `undefined` for what cannot be trusted, too. */
async function readDrill(
  { store, url }: Repository,
  key: string,
  { systemId, signal }: CallOptions & { systemId: bigint },
): Promise<DrillRecord | undefined> {
  const object = `${url}/${key}`;
  try {
    return await readAuthentic(store, key, { signal, maxBytes: DRILL_RECORD_MAX_BYTES }, ({ bytes }) => {
      const record = parseDrillRecord(bytes, object);
      if (record.systemId === systemId && drillKey(record.at) === key) return record;
      throw new WalholdError('damaged', `could not trust ${object}`, {
        detail: 'it speaks of another cluster or time',
      });
    });
  } catch (error) {
    if (hasCode(error, 'damaged', 'bad-format')) return undefined;
    throw error;
  }
}

/** Stores a record under the name of its time, or of the next second that is free. Resolves to its key. */
export async function storeDrill(
  { store, url }: Repository,
  record: DrillRecord,
  { signal }: CallOptions,
): Promise<string> {
  for (let tries = 0; tries < MOST_NAMES; tries += 1) {
    const at = new Date(record.at.getTime() + tries * 1000);
    const key = drillKey(at);
    const bytes = formatDrillRecord({ ...record, at });
    if ((await store.create(key, { kind: 'buffer', bytes }, { signal })) === 'created') return key;
    // Perhaps it was our own, and the answer was lost.
    const found = await readAll(store, key, { signal, maxBytes: bytes.length + 1 }).catch(() => undefined);
    if (found?.bytes.equals(bytes) === true) return key;
  }
  throw new WalholdError('conflict', `could not store ${drillKey(record.at)} in ${url}: the names are taken`);
}
