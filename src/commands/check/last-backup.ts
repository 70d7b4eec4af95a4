import { hasCode } from '../../base/errors.ts';
import { formatTime } from '../../postgres/units.ts';
import { parseIso } from '../../postgres/timestamp.ts';
import { readRecord } from '../../repository/backups.ts';
import { BACKUP_PREFIX, parseBackupId, type BackupId } from '../../repository/layout.ts';
import type { Repository } from '../../repository/repository.ts';
import type { CallOptions } from '../../store/store.ts';
import { failedLook, item, settingName, type CheckItem } from './check-item.ts';

/** So many newer uploads, or records that cannot be read, are passed over. */
const MOST_LOOKED_AT = 20;

/** Whether backups are still being taken, where a window says how old they may get. */
export async function lastBackupCheck(
  repository: Repository,
  { signal, clock }: CallOptions & { clock: { now(): number } },
): Promise<CheckItem[]> {
  const { windowMs } = repository.retention;
  if (windowMs === undefined || windowMs === 0) return [];
  const name = `${settingName(repository.number)} last backup`;
  const expected = `one that is not older than retention_window, ${formatTime(windowMs)}`;
  const hint = 'Take one now, and see why none was taken: "walhold backup", from cron or a timer.';
  try {
    const last = await newestBackup(repository, { signal });
    // A new repository has none yet, and is checked before the first.
    if (last === undefined)
      return [item(name, true, 'there is none', expected, `Warning: nothing can be recovered. ${hint}`)];
    const ok = last.stoppedAt.getTime() + windowMs >= clock.now();
    return [item(name, ok, `${last.id}, of ${last.stoppedAt.toISOString()}`, expected, ok ? undefined : hint)];
  } catch (error) {
    signal.throwIfAborted();
    return [failedLook(name, expected, error)];
  }
}

async function newestBackup(
  repository: Repository,
  { signal }: CallOptions,
): Promise<{ id: BackupId; stoppedAt: Date } | undefined> {
  const ids: BackupId[] = [];
  for await (const entry of repository.store.list(BACKUP_PREFIX, { signal, delimited: true })) {
    const id = entry.kind === 'directory' ? parseBackupId(entry.prefix.slice(BACKUP_PREFIX.length, -1)) : undefined;
    if (id !== undefined) ids.push(id);
  }
  for (const id of ids.toReversed().slice(0, MOST_LOOKED_AT)) {
    try {
      const record = await readRecord(repository, id, { signal });
      const micros = record === undefined ? undefined : parseIso(record.stoppedAt);
      if (micros !== undefined) return { id, stoppedAt: new Date(Number(micros / 1000n)) };
    } catch (error) {
      if (!hasCode(error, 'damaged', 'bad-format')) throw error;
    }
  }
  return undefined;
}
