import type { Spool } from './spool.ts';

const NAME = 'backup';

/** What a running backup says of itself every few seconds. For `status`. */
export interface BackupProgress {
  pid: number;
  /** Its identifier; `null` before it has one. */
  id: string | null;
  /** Milliseconds since 1970: when it began, and when it said so. */
  since: number;
  at: number;
  phase: string;
  bytesDone: number;
  bytesTotal: number | null;
  rate: number | null;
  secondsLeft: number | null;
}

/** Later than this, whoever has not said anything more is gone, and its process number perhaps another's. */
const SILENT_MS = 60_000;

export async function noteBackupProgress(spool: Spool, progress: BackupProgress): Promise<void> {
  await spool.write(NAME, { ...progress });
}

export async function clearBackupProgress(spool: Spool): Promise<void> {
  await spool.remove(NAME);
}

/** `undefined`: no backup runs; the note of one that was killed is none. */
export async function readBackupProgress(
  spool: Spool,
  { now, isAlive }: { now: number; isAlive: (pid: number) => boolean },
): Promise<BackupProgress | undefined> {
  const note = await spool.read(NAME);
  const numbers = ['pid', 'since', 'at', 'bytesDone'].every((name) => Number.isSafeInteger(note?.[name]));
  if (note === undefined || !numbers || typeof note['phase'] !== 'string') return undefined;
  const found = note as unknown as BackupProgress;
  return now - found.at <= SILENT_MS && isAlive(found.pid) ? found : undefined;
}
