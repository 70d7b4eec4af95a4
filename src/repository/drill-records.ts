import { hasCode } from '../base/errors.ts';
import { mapParallel } from '../base/parallel.ts';
import type { CallOptions } from '../store/store.ts';
import { DRILL_RECORD_MAX_BYTES, formatDrillRecord, parseDrillRecord, type DrillRecord } from './drill-record.ts';
import { DRILL_PREFIX, drillKey, isDrillKey } from './layout.ts';
import type { Repository, RepositoryFailure } from './repository.ts';
import { readTimedRecord, storeTimedRecord, type RecordKind } from './timed-record.ts';

/** What drills have shown, over all repositories. */
export interface KnownDrills {
  /** The newest, however it went; `undefined`: there was none. */
  last: DrillRecord | undefined;
  /** The newest that found all well. */
  proven: DrillRecord | undefined;
  failures: readonly RepositoryFailure[];
}

/** Looking for a drill that went well ends here: what is older proves little. */
const MOST_READ = 20;
/** Names ahead of the clock by more than this are not believed. */
const MOST_SKEW_MS = 300_000;

const DRILL_RECORD: RecordKind<DrillRecord> = {
  keyOf: drillKey,
  maxBytes: DRILL_RECORD_MAX_BYTES,
  format: formatDrillRecord,
  parse: parseDrillRecord,
};

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

/** The newest of each repository, `most` at the most, newest first; those that cannot be trusted are left out. */
export async function readDrills(
  repositories: readonly Repository[],
  options: CallOptions & { systemId: bigint; now: number; most: number; jobs: number },
): Promise<{ drills: DrillRecord[]; failures: readonly RepositoryFailure[] }> {
  const drills: DrillRecord[] = [];
  const failures: RepositoryFailure[] = [];
  for (const repository of repositories) {
    try {
      const keys = (await newestKeys(repository, options)).slice(0, options.most);
      const read = await mapParallel(keys, options.jobs, (key) => readDrill(repository, key, options));
      drills.push(...read.filter((record) => record !== undefined));
    } catch (error) {
      options.signal.throwIfAborted();
      failures.push({ repository, error });
    }
  }
  drills.sort((a, b) => b.at.getTime() - a.at.getTime());
  return { drills: drills.slice(0, options.most), failures };
}

async function newestKeys(repository: Repository, { now, signal }: CallOptions & { now: number }): Promise<string[]> {
  const keys: string[] = [];
  const last = drillKey(new Date(now + (repository.store.clockSkewMs?.() ?? 0) + MOST_SKEW_MS));
  for await (const entry of repository.store.list(DRILL_PREFIX, { signal, delimited: true })) {
    if (entry.kind === 'object' && isDrillKey(entry.key) && entry.key <= last) keys.push(entry.key);
  }
  return keys.reverse();
}

/** Newest first, up to the first that went well. */
async function newestDrills(
  repository: Repository,
  { systemId, now, signal }: CallOptions & { systemId: bigint; now: number },
): Promise<DrillRecord[]> {
  const records: DrillRecord[] = [];
  for (const key of (await newestKeys(repository, { now, signal })).slice(0, MOST_READ)) {
    const record = await readDrill(repository, key, { systemId, signal });
    if (record !== undefined) records.push(record);
    if (record?.ok === true) break;
  }
  return records;
}

/** `undefined` for what cannot be trusted, too. */
async function readDrill(
  repository: Repository,
  key: string,
  options: CallOptions & { systemId: bigint },
): Promise<DrillRecord | undefined> {
  try {
    return await readTimedRecord(repository, key, DRILL_RECORD, options);
  } catch (error) {
    if (hasCode(error, 'damaged', 'bad-format')) return undefined;
    throw error;
  }
}

/** Stores a record under the name of its time, or of the next second that is free. Resolves to its key. */
export async function storeDrill(
  repository: Repository,
  record: DrillRecord,
  { signal }: CallOptions,
): Promise<string> {
  return await storeTimedRecord(repository, record, DRILL_RECORD, { signal });
}
