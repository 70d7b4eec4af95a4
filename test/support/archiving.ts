import type { Cluster } from './cluster.ts';
import { waitFor } from './wait-for.ts';

/** Ends the current WAL segment (a record is written first, so that there is one to end) and returns its name. */
export async function switchWal(cluster: Cluster): Promise<string> {
  const [row] = await cluster.query<{ name: string }>(
    `select pg_walfile_name(pg_switch_wal()) as name from pg_logical_emit_message(false, 'test', 'switch')`,
  );
  if (row === undefined) throw new Error('the switch gave no name');
  return row.name;
}

/** Waits until the archiver has been told that this file is safe. */
export async function waitUntilArchived(cluster: Cluster, name: string, deadlineMs = 60_000): Promise<void> {
  await withArchiverStats(cluster, async () => {
    await waitFor(async () => !(await readyFiles(cluster)).includes(`${name}.ready`) && (await isDone(cluster, name)), {
      what: `${name} to be archived`,
      deadlineMs,
    });
  });
}

/** Ends the current segment and waits until nothing is left to archive; returns the last segment's name. */
export async function archiveEverything(cluster: Cluster, deadlineMs = 60_000): Promise<string> {
  const name = await switchWal(cluster);
  await waitUntilArchived(cluster, name, deadlineMs);
  return name;
}

/** The names that wait for the archiver, with `.ready`. */
export async function readyFiles(cluster: Cluster): Promise<string[]> {
  return (await cluster.walFiles('archive_status')).filter((name) => name.endsWith('.ready'));
}

/** How often the archiver's command has failed. */
export async function failedPushes(cluster: Cluster): Promise<number> {
  return Number(await cluster.value<string>('select failed_count from pg_stat_archiver'));
}

/** A file that is gone was archived before it was removed. */
async function isDone(cluster: Cluster, name: string): Promise<boolean> {
  if ((await cluster.walFiles('archive_status')).includes(`${name}.done`)) return true;
  return !(await cluster.walFiles()).includes(name);
}

async function withArchiverStats(cluster: Cluster, wait: () => Promise<void>): Promise<void> {
  try {
    await wait();
  } catch (error) {
    const [stats] = await cluster.query('select * from pg_stat_archiver').catch(() => []);
    throw new Error(`${String(error)}; ${JSON.stringify(stats)}\n${await cluster.logTail()}`, { cause: error });
  }
}
