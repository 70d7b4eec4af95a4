import { readBackupProgress } from '../spool/backup-progress.ts';
import type { Spool } from '../spool/spool.ts';
import type { CommandContext } from './command-context.ts';
import { describeMeasure } from './progress/views.ts';
import type { BackupInProgressJson } from './status-json.ts';

/** The backup that runs on a data directory, in `walhold status --json`. */
export async function backupInProgressJson(
  spool: Spool,
  { clock, isAlive }: Pick<CommandContext, 'clock' | 'isAlive'>,
): Promise<BackupInProgressJson | null> {
  const found = await readBackupProgress(spool, { now: clock.now(), isAlive });
  if (found === undefined) return null;
  const { pid, id, phase, bytesDone, bytesTotal, rate, secondsLeft } = found;
  const [since, at] = [found.since, found.at].map((ms) => new Date(ms).toISOString()) as [string, string];
  return { pid, id, since, at, phase, bytesDone, bytesTotal, rate, secondsLeft };
}

export function describeBackupInProgress(backup: BackupInProgressJson | null): string | undefined {
  if (backup === null) return undefined;
  return `${backup.id ?? 'not named yet'}, process ${backup.pid}, since ${backup.since}: ${describeMeasure(backup)}`;
}
