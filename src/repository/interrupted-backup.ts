/** The newest upload that no `backup.json` completes: what is stored of it, and what its attempts noted. */
import { hasCode } from '../base/errors.ts';
import type { CallOptions } from '../store/store.ts';
import { ATTEMPT_NOTE_MAX_BYTES, parseAttemptNote, type AttemptNote } from './attempt-note.ts';
import { readAuthentic } from './authentic.ts';
import { listBackupIds } from './backups.ts';
import {
  attemptKey,
  backupPrefix,
  commitKey,
  configKey,
  manifestKey,
  parseNumberedKey,
  type BackupId,
} from './layout.ts';
import { damaged } from './object-head.ts';
import { firstThatWorks, worstOf, type Repository } from './repository.ts';

export interface InterruptedBackup {
  id: BackupId;
  /** In their order; a backup that was begun before there were notes, or only just, has none. */
  notes: readonly AttemptNote[];
  /** Why some note cannot be trusted. */
  fault: string | undefined;
  /** No attempt has this number or a higher one. */
  nextAttempt: number;
  /** Part numbers, rising, and who holds each. */
  parts: ReadonlyMap<number, readonly Repository[]>;
  /** Bytes of all of them, each counted once for each holder. */
  partBytes: number;
  /** Who holds the configuration and the manifest. */
  config: readonly Repository[];
  manifest: readonly Repository[];
  /** When the newest of its objects was stored. */
  lastStoredAt: Date;
}

/**
 * `undefined`: there is none, or a newer backup is complete in some repository: then the interrupted one is of the past. Throws what
 * the stores say, since all are needed.
 */
export async function findInterrupted(
  repositories: readonly Repository[],
  options: CallOptions & { systemId: bigint },
): Promise<InterruptedBackup | undefined> {
  const { holders, failures } = await listBackupIds(repositories, options);
  if (failures.length > 0) throw worstOf(failures);
  const newest = [...holders.keys()].at(-1);
  if (newest === undefined) return undefined;
  const { complete, ...found } = await listObjects(repositories, newest, options);
  return complete ? undefined : await withNotes(repositories, newest, found, options);
}

type Listed = Pick<InterruptedBackup, 'parts' | 'partBytes' | 'config' | 'manifest' | 'lastStoredAt'>;

interface Found extends Listed {
  attempts: number[];
  complete: boolean;
}

async function listObjects(repositories: readonly Repository[], id: BackupId, options: CallOptions): Promise<Found> {
  const keys = new Map<string, Repository[]>();
  let last = 0;
  let partBytes = 0;
  for (const repository of repositories) {
    for await (const entry of repository.store.list(backupPrefix(id), { signal: options.signal })) {
      if (entry.kind !== 'object') continue;
      keys.set(entry.key, [...(keys.get(entry.key) ?? []), repository]);
      last = Math.max(last, entry.storedAt.getTime());
      if (parseNumberedKey(entry.key)?.kind === 'part') partBytes += entry.bytes;
    }
  }
  const numbered = [...keys].flatMap(([key, holders]) => {
    const parsed = parseNumberedKey(key);
    return parsed === undefined ? [] : [{ ...parsed, holders }];
  });
  numbered.sort((a, b) => a.number - b.number);
  return {
    complete: keys.has(commitKey(id)),
    parts: new Map(numbered.flatMap(({ kind, number, holders }) => (kind === 'part' ? [[number, holders]] : []))),
    partBytes,
    attempts: numbered.flatMap(({ kind, number }) => (kind === 'attempt' ? [number] : [])),
    config: keys.get(configKey(id)) ?? [],
    manifest: keys.get(manifestKey(id)) ?? [],
    lastStoredAt: new Date(last),
  };
}

async function withNotes(
  repositories: readonly Repository[],
  id: BackupId,
  { attempts, ...found }: Omit<Found, 'complete'>,
  options: CallOptions & { systemId: bigint },
): Promise<InterruptedBackup> {
  const notes: AttemptNote[] = [];
  let fault: string | undefined;
  for (const attempt of attempts) {
    try {
      const { value } = await firstThatWorks(repositories, (one) => readNote(one, id, attempt, options));
      if (value !== undefined) notes.push(value);
    } catch (error) {
      if (!hasCode(error, 'damaged', 'bad-format')) throw error;
      fault ??= `${error.message}${error.detail === undefined ? '' : `: ${error.detail}`}`;
    }
  }
  return { id, notes, fault, nextAttempt: (attempts.at(-1) ?? 0) + 1, ...found };
}

async function readNote(
  { store, url }: Repository,
  id: BackupId,
  attempt: number,
  { signal, systemId }: CallOptions & { systemId: bigint },
): Promise<AttemptNote | undefined> {
  const key = attemptKey(id, attempt);
  return await readAuthentic(store, key, { signal, maxBytes: ATTEMPT_NOTE_MAX_BYTES }, ({ bytes }) => {
    const note = parseAttemptNote(bytes, `${url}/${key}`);
    if (note.systemId === systemId && note.backup === id && note.attempt === attempt) return note;
    throw damaged(`${url}/${key}`, 'it speaks of another cluster, backup or attempt');
  });
}
