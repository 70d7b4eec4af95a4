import { WalholdError } from '../base/errors.ts';
import type { ServerSession } from './session.ts';

/** What a backup must know of the server it is taken from. */
export interface ServerFacts {
  /** `server_version`, as printed. */
  version: string;
  major: number;
  inRecovery: boolean;
  systemId: bigint;
  /** When the postmaster started, by the server's clock: ISO 8601 UTC with microseconds. */
  startedAt: string;
  /** Of the latest checkpoint or restartpoint. */
  checkpoint: CheckpointFacts;
  /** Settings by name; those that this user may not see are missing. */
  settings: ReadonlyMap<string, string>;
}

/** The latest checkpoint as pg_control tells it: two servers of one system identifier never share one for long. */
export interface CheckpointFacts {
  lsn: string;
  redoLsn: string;
  timeline: number;
}

const SETTINGS = ['data_directory', 'config_file', 'hba_file', 'ident_file'].concat(
  ['archive_mode', 'archive_command', 'archive_library'],
  ['data_checksums', 'primary_conninfo', 'wal_log_hints', 'summarize_wal', 'full_page_writes', 'fsync'],
);

/** 13 is the oldest, newer than 18 is believed to work. */
const OLDEST_MAJOR = 13;

/** Throws `server`, also for a major that is too old. */
export async function readServerFacts(session: ServerSession): Promise<ServerFacts> {
  const what = 'look at the server';
  const row = await session.row(
    what,
    `select current_setting('server_version') as version, current_setting('server_version_num')::int as number,
            pg_is_in_recovery() as "inRecovery", system_identifier::text as "systemId",
            to_char(pg_postmaster_start_time() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as "startedAt"
       from pg_control_system()`,
  );
  const major = Math.floor(Number(row['number']) / 10_000);
  if (major < OLDEST_MAJOR) {
    throw new WalholdError('server', `${session.where} runs PostgreSQL ${String(row['version'])}`, {
      hint: `walhold works with PostgreSQL ${OLDEST_MAJOR} and later.`,
    });
  }
  const rows = await session.rows(what, 'select name, setting from pg_settings where name = any($1)', [SETTINGS]);
  return {
    version: String(row['version']),
    major,
    inRecovery: row['inRecovery'] === true,
    systemId: BigInt(String(row['systemId'])),
    startedAt: String(row['startedAt']),
    checkpoint: await readCheckpoint(session),
    settings: new Map(rows.map(({ name, setting }) => [String(name), String(setting)])),
  };
}

/** What of its configuration is in force, and since when. */
export interface ConfigurationFacts {
  /** When the server last read its configuration: ISO 8601 UTC with microseconds. */
  readAt: string;
  fullPageWrites: boolean;
}

/** As it is now: a session that lives sees a reload as it happens. Throws `server`. */
export async function readConfiguration(session: ServerSession): Promise<ConfigurationFacts> {
  const row = await session.row(
    'look at the configuration',
    `select to_char(pg_conf_load_time() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as "readAt",
            current_setting('full_page_writes') as "fullPageWrites"`,
  );
  return { readAt: String(row['readAt']), fullPageWrites: row['fullPageWrites'] !== 'off' };
}

export async function readCheckpoint(session: ServerSession): Promise<CheckpointFacts> {
  const row = await session.row(
    'look at the latest checkpoint',
    `select checkpoint_lsn::text as lsn, redo_lsn::text as "redoLsn", timeline_id as timeline from pg_control_checkpoint()`,
  );
  return { lsn: String(row['lsn']), redoLsn: String(row['redoLsn']), timeline: Number(row['timeline']) };
}

/** A setting that decides something. Throws `server` when this user may not see it. */
export function requireSetting(facts: ServerFacts, name: string): string {
  const value = facts.settings.get(name);
  if (value !== undefined) return value;
  throw new WalholdError('server', `could not see the server's setting ${name}`, {
    hint: 'Connect as a superuser, or grant the user pg_read_all_settings.',
  });
}
