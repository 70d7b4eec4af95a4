/** The objects that a backup consists of, and which of them are there. */
import type { CallOptions } from '../store/store.ts';
import type { BackupRecord, FrameRecord, StoredRecord } from './backup-record.ts';
import { backupPrefix, commitKey, configKey, manifestKey, parseNumberedKey, partKey, type BackupId } from './layout.ts';
import type { Repository } from './repository.ts';
import type { Problem } from './verify-problem.ts';

/** A part or the configuration. */
export interface StreamedObject {
  key: string;
  kind: 'backup-part' | 'backup-config';
  stored: StoredRecord;
  frames: readonly FrameRecord[] | undefined;
}

export function objectsOf(record: BackupRecord): StreamedObject[] {
  const parts = record.parts.map((part): StreamedObject => {
    return { key: partKey(record.id, part.number), kind: 'backup-part', stored: part, frames: part.frames };
  });
  const { config } = record;
  if (config === undefined) return parts;
  return [...parts, { key: configKey(record.id), kind: 'backup-config', stored: config, frames: undefined }];
}

export interface FoundObjects {
  /** Keys of those that are there with the right size. */
  there: Set<string>;
  /** `missing-object` and `wrong-size`. */
  problems: Problem[];
  /** Keys that belong to no backup. */
  unknown: string[];
}

/** Looks names and sizes up in one listing. */
export async function findObjects(
  { store }: Repository,
  id: BackupId,
  objects: readonly StreamedObject[],
  { signal }: CallOptions,
): Promise<FoundObjects> {
  const found = new Map<string, number>();
  for await (const entry of store.list(backupPrefix(id), { signal })) {
    if (entry.kind === 'object') found.set(entry.key, entry.bytes);
  }
  const there = new Set<string>();
  const problems: Problem[] = [];
  for (const { key, stored } of objects) {
    const bytes = found.get(key);
    const fits = (one: { bytes: number }): boolean => one.bytes === stored.storedBytes;
    if (bytes === stored.storedBytes) there.add(key);
    // A listing shows the oldest version, which somebody may have put there before us.
    else if (bytes !== undefined && (await store.candidates?.(key, { signal }))?.some(fits) === true) there.add(key);
    else problems.push(absenceOf(key, bytes, stored.storedBytes));
  }
  if (found.has(manifestKey(id))) there.add(manifestKey(id));
  else problems.push(absenceOf(manifestKey(id), undefined, 0));
  const known = new Set([...objects.map(({ key }) => key), manifestKey(id), commitKey(id)]);
  return {
    there,
    problems,
    unknown: [...found.keys()].filter((key) => !known.has(key) && parseNumberedKey(key)?.kind !== 'attempt'),
  };
}

function absenceOf(key: string, bytes: number | undefined, wanted: number): Problem {
  if (bytes === undefined)
    return { code: 'missing-object', object: key, message: 'the backup names it, and it is not stored' };
  return { code: 'wrong-size', object: key, message: `it has ${bytes} bytes, the backup's record says ${wanted}` };
}
