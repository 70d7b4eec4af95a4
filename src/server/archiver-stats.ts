import type { ServerSession } from './session.ts';

/** What the archiver has counted since its statistics were reset (pg_stat_archiver). */
export interface ArchiverStats {
  /** The last file it was told is safe. */
  archived: string | undefined;
  failures: number;
  lastFailed: string | undefined;
  /** As the server prints it. */
  lastFailedAt: string | undefined;
}

/** Throws `server`. */
export async function readArchiverStats(session: ServerSession): Promise<ArchiverStats> {
  const row = await session.row(
    'ask for the archiver',
    `select last_archived_wal as archived, failed_count::int as failures, last_failed_wal as failed,
            last_failed_time::text as "failedAt" from pg_stat_archiver`,
  );
  const text = (name: string): string | undefined => {
    const value = row[name];
    return typeof value === 'string' ? value : undefined;
  };
  return {
    archived: text('archived'),
    failures: Number(row['failures']),
    lastFailed: text('failed'),
    lastFailedAt: text('failedAt'),
  };
}
