/** PostgreSQL's low-level backup API: start and stop in one session, whatever the major. */
import { WalholdError } from '../base/errors.ts';
import { parseLsn, type Lsn } from '../postgres/lsn.ts';
import type { ServerSession } from './session.ts';

export interface StartedBackup {
  startLsn: Lsn;
  /** By the server's clock, before the backup began: ISO 8601 UTC with microseconds. */
  startedAt: string;
}

export interface StoppedBackup {
  stopLsn: Lsn;
  /** By the server's clock, after every commit before `stopLsn`. */
  stoppedAt: string;
  /** Files of the backup, byte for byte; no `tablespaceMap` without tablespaces. */
  label: Buffer;
  tablespaceMap: Buffer | undefined;
  /** Where recovery has been, of a standby: another timeline than the backup's means that it followed a failover. */
  recoveryTimeline: number | undefined;
}

/** `clock_timestamp()` as text: fields, not a Date, which would round. */
const NOW = `to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

/** 15 renamed the functions and dropped the exclusive mode. */
const RENAMED = 15;

/** Begins a backup. With `fast` the checkpoint is made at once, else over time, as the server spreads its own. Throws `server`. */
export async function startBackup(
  session: ServerSession,
  { major, label, fast }: { major: number; label: string; fast: boolean },
): Promise<StartedBackup> {
  const what = 'start a backup';
  const before = await session.row(what, `select ${NOW} as now`);
  const call = major >= RENAMED ? 'pg_backup_start($1, $2)' : 'pg_start_backup($1, $2, false)';
  const row = await session.row(what, `select ${call}::text as lsn`, [label, fast], { unbounded: true });
  return { startLsn: positionOf(row['lsn']), startedAt: String(before['now']) };
}

/**
 * Ends the backup that this session began, without waiting for the archive: that is proven by looking. On a primary this switches
 * WAL. Texts come as bytes, in the encoding in which the server itself would write the files. Throws `server`.
 */
export async function stopBackup(session: ServerSession, major: number): Promise<StoppedBackup> {
  const what = 'stop the backup';
  const call = major >= RENAMED ? 'pg_backup_stop(false)' : 'pg_stop_backup(false, false)';
  const row = await session.row(
    what,
    `select lsn::text as lsn, convert_to(labelfile, getdatabaseencoding()) as label,
            convert_to(spcmapfile, getdatabaseencoding()) as map from ${call}`,
  );
  const after = await session.row(
    what,
    `select ${NOW} as now, pg_is_in_recovery() as "inRecovery", min_recovery_end_timeline as timeline
       from pg_control_recovery()`,
  );
  const { label, map } = row;
  if (!Buffer.isBuffer(label) || label.length === 0) {
    throw new WalholdError('server', 'the server gave no backup label');
  }
  return {
    stopLsn: positionOf(row['lsn']),
    stoppedAt: String(after['now']),
    label,
    tablespaceMap: Buffer.isBuffer(map) && map.length > 0 ? map : undefined,
    recoveryTimeline: after['inRecovery'] === true ? Number(after['timeline']) : undefined,
  };
}

function positionOf(value: unknown): Lsn {
  const position = parseLsn(String(value));
  if (position === undefined) throw new WalholdError('server', `the server gave "${String(value)}" for a WAL position`);
  return position;
}
