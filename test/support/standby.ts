import { join } from 'node:path';
import { Cluster, type ClusterOptions } from './cluster.ts';
import { copyOnline, copyStopped } from './data-copy.ts';
import type { Settings } from './server-settings.ts';
import { waitFor } from './wait-for.ts';

export interface StandbyOptions extends ClusterOptions {
  /** Follow the primary by streaming too; with false it has only what `restore_command` brings. */
  streaming: boolean;
  /** For instance `restore_command`, from {@link restoreCommand}. */
  settings?: Settings;
}

/**
 * A standby of `primary`, not started: from an online backup while that runs, else from a plain copy. A test that is not
 * about backups begins here, so none of the code under test is used.
 */
export async function makeStandby(primary: Cluster, options: StandbyOptions): Promise<Cluster> {
  const { streaming, settings = {}, ...rest } = options;
  const standby = await copyOf(primary, { name: 'standby', ...rest });
  await standby.runOk(['touch', join(standby.dataDir, 'standby.signal')]);
  const upstream = streaming ? { primary_conninfo: primary.connectionString } : {};
  await standby.configure({ hot_standby: 'on', ...upstream, ...settings });
  return standby;
}

/** A copy of the cluster under the same system identifier, not started: what a clone or a snapshot of its disk would be. */
export async function copyOf(original: Cluster, options: ClusterOptions = {}): Promise<Cluster> {
  const copy = await Cluster.over(undefined, { major: original.postgres.major, ...options });
  await (original.isRunning ? copyOnline : copyStopped)(original, copy);
  return copy;
}

/** Waits until the standby has replayed all that the primary has written by now. */
export async function waitUntilCaughtUp(standby: Cluster, primary: Cluster, deadlineMs = 60_000): Promise<void> {
  const lsn = await primary.value<string>('select pg_current_wal_flush_lsn()::text');
  await waitUntilReplayed(standby, lsn, deadlineMs);
}

/** Waits until the standby has replayed up to this LSN. */
export async function waitUntilReplayed(standby: Cluster, lsn: string, deadlineMs = 60_000): Promise<void> {
  const sql = 'select coalesce(pg_last_wal_replay_lsn() >= $1::pg_lsn, false)';
  const probe = async (): Promise<boolean> => await standby.value<boolean>(sql, [lsn]);
  try {
    await waitFor(probe, { what: `the standby to replay up to ${lsn}`, deadlineMs });
  } catch (error) {
    throw new Error(`the standby lags\n${await standby.logTail()}`, { cause: error });
  }
}
