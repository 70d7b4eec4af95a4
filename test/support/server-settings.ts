import { appendFile } from 'node:fs/promises';

/** Server settings by name; the values unquoted, as `SHOW` prints them. */
export type Settings = Readonly<Record<string, string | number | boolean>>;

/**
 * What every cluster made for a test begins with. Nothing here survives a power cut, and nothing needs to: a killed server
 * loses no acknowledged commit by it. Commit times are kept so that a test can tell what had been committed by a moment.
 */
export const TEST_SETTINGS: Settings = {
  listen_addresses: '',
  max_connections: 30,
  shared_buffers: '16MB',
  fsync: false,
  wal_level: 'replica',
  max_wal_senders: 5,
  track_commit_timestamp: true,
  log_line_prefix: '%m [%p] ',
  log_checkpoints: true,
  timezone: 'UTC',
  lc_messages: 'C',
  wal_retrieve_retry_interval: '500ms',
};

/** Appends settings to a configuration file; what stands last counts. */
export async function appendSettings(file: string, settings: Settings): Promise<void> {
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${quoted(value)}\n`);
  await appendFile(file, `\n${lines.join('')}`);
}

/** The form of `postgresql.conf`: in single quotes, quotes and backslashes doubled. */
export function quoted(value: string | number | boolean): string {
  const text = typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value);
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}
