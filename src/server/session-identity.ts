import type { ServerSession } from './session.ts';

/** What names one session of a server for good: process numbers come again, starts do not. */
export interface SessionIdentity {
  pid: number;
  /** By the server's clock: ISO 8601 UTC with microseconds. */
  startedAt: string;
}

const STARTED = `to_char(backend_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

/** This very session. Throws `server`. */
export async function ownIdentity(session: ServerSession): Promise<SessionIdentity> {
  const sql = `select pid, ${STARTED} as "startedAt" from pg_stat_activity where pid = pg_backend_pid()`;
  const row = await session.row('look at the session', sql);
  return { pid: Number(row['pid']), startedAt: String(row['startedAt']) };
}

/** Whether that session is still there. One whose start this user may not see counts as the one. Throws `server`. */
export async function isSessionAlive(session: ServerSession, { pid, startedAt }: SessionIdentity): Promise<boolean> {
  const sql = `select 1 from pg_stat_activity where pid = $1 and coalesce(${STARTED}, $2) = $2`;
  return (await session.rows('look for a session', sql, [pid, startedAt])).length > 0;
}
