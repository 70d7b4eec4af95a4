/** How much WAL a server writes in an hour. */
import type { LocalWalFile } from './pg-wal.ts';
import type { ServerSession } from './session.ts';

const HOUR_MS = 3_600_000;
/** What was written in a shorter time says nothing of an hour. */
const LEAST_SECONDS = 600;

/** On average since its statistics were reset, in bytes; `undefined`: this server (13) does not say. Throws `server`. */
export async function askHourlyWal(session: ServerSession): Promise<number | undefined> {
  const what = 'ask how much WAL it writes';
  const { there } = await session.row(what, `select to_regclass('pg_catalog.pg_stat_wal') is not null as there`);
  if (there !== true) return undefined;
  const { bytes, seconds } = await session.row(
    what,
    `select wal_bytes::float8 as bytes,
            extract(epoch from clock_timestamp() - stats_reset)::float8 as seconds from pg_stat_wal`,
  );
  return (Number(bytes) / Math.max(Number(seconds), LEAST_SECONDS)) * 3600;
}

/** The bytes of the segments in `pg_wal` that were written within the last hour before `now`; what was removed since is not in it. */
export function lastHourInPgWal(files: readonly LocalWalFile[], now: number): number {
  return files
    .filter(({ file, modifiedAt }) => file.kind === 'segment' && modifiedAt.getTime() > now - HOUR_MS)
    .reduce((sum, { bytes }) => sum + bytes, 0);
}
