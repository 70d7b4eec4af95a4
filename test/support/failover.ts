import { archivedCluster, type Archived, type ArchivedOptions } from './archived-cluster.ts';
import { archiveEverything, switchWal } from './archiving.ts';
import type { Cluster } from './cluster.ts';
import { restoreCommand } from './hook.ts';
import { copyOf, makeStandby, waitUntilCaughtUp } from './standby.ts';

/** A primary that is dead and a standby that took over, both archiving into one repository. */
export interface Failover extends AsyncDisposable {
  readonly old: Archived;
  readonly next: Cluster;
  /** A copy of the primary from before all this, stopped: recovered, it must come to what `next` holds. */
  readonly seed: Cluster;
  /** The segments that the old primary never archived and the standby had streamed. */
  readonly unarchived: readonly string[];
}

/** The archiving of the primary gets stuck, the standby streams on, the primary dies, the standby takes over and archives. */
export async function failoverBehindArchive(options: ArchivedOptions = {}): Promise<Failover> {
  await using stack = new AsyncDisposableStack();
  const settings = { wal_keep_size: '256MB', ...options.settings };
  // A worker would store for a while what the archiver does not ask for.
  const walhold = { gap_grace: '1s', push_ahead: 0 };
  const old = stack.use(await archivedCluster({ name: 'old', walhold, ...options, settings }));
  const primary = old.cluster;
  await primary.start();
  await primary.query('create table t as select i, md5(i::text) as v from generate_series(1, 500) i');
  await archiveEverything(primary);
  const seed = stack.use(await copyOf(primary, { name: 'seed' }));
  const restore_command = await restoreCommand({ config: old.config });
  const next = stack.use(await makeStandby(primary, { name: 'next', streaming: true, settings: { restore_command } }));
  await next.start();
  await writeAndSwitch(primary, 'archived');
  await archiveEverything(primary);

  await primary.reconfigure({ archive_command: 'false' });
  const unarchived = [
    await writeAndSwitch(primary, 'streamed'),
    await writeAndSwitch(primary, 'streamed'),
    await writeAndSwitch(primary, 'streamed'),
  ];
  await primary.query(`insert into t select i, 'in the segment of the fork' from generate_series(1, 100) i`);
  await waitUntilCaughtUp(next, primary);
  await primary.kill9();
  await next.promote();
  await writeAndSwitch(next, 'on the new timeline');
  await archiveEverything(next);
  const all = stack.move();
  return { old, next, seed, unarchived, [Symbol.asyncDispose]: async () => await all.disposeAsync() };
}

/** Writes rows, ends the segment and returns its name. */
export async function writeAndSwitch(cluster: Cluster, text: string): Promise<string> {
  await cluster.query(`insert into t select i, $1 from generate_series(1, 300) i`, [text]);
  return await switchWal(cluster);
}
