import { chown, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cluster } from './cluster.ts';

/** Files of a running server that a copy must not have. */
const OF_THE_RUNNING_SERVER = ['postmaster.pid', 'postmaster.opts'];

/** Copies the data directory of a server that is not running. Tablespaces, whose place both would share, are refused. */
export async function copyStopped(from: Cluster, to: Cluster): Promise<void> {
  await refuseTablespaces(from);
  await to.runOk(['cp', '-a', from.dataDir, to.dataDir]);
  await withoutServerFiles(to);
}

/**
 * Copies the data directory of a running server between the start and the stop of a backup, with the WAL to make it
 * consistent and the label: PostgreSQL's low-level API, by hand.
 */
export async function copyOnline(from: Cluster, to: Cluster): Promise<void> {
  await refuseTablespaces(from);
  const old = from.postgres.major < 15;
  const start = old ? `pg_start_backup('copy', true, false)` : `pg_backup_start('copy', true)`;
  const stop = old ? 'pg_stop_backup(false, false)' : 'pg_backup_stop(false)';
  const client = await from.connect();
  try {
    await client.query(`select ${start}`);
    await to.runOk(['sh', '-c', COPY_SKIPPING_WAL, 'sh', from.dataDir, to.dataDir]);
    const result = await client.query<{ labelfile: string }>(`select labelfile from ${stop}`);
    const [row] = result.rows;
    if (row === undefined) throw new Error('the backup ended without a label');
    await writeFile(join(to.dataDir, 'backup_label'), row.labelfile);
    await chown(join(to.dataDir, 'backup_label'), to.user.uid, to.user.gid);
    await to.runOk(['sh', '-c', COPY_SEGMENTS, 'sh', from.dataDir, to.dataDir]);
  } finally {
    await client.end();
  }
  await withoutServerFiles(to);
}

// Files may vanish while they are copied; only that is forgiven, by looking for the control file at the end.
const COPY_SKIPPING_WAL = `
mkdir -m 700 "$2" && cd "$1" || exit 1
tar -c --exclude=./pg_wal --warning=no-file-changed --warning=no-file-removed . | tar -x -p -C "$2" || exit 1
mkdir -m 700 "$2/pg_wal" "$2/pg_wal/archive_status" && [ -s "$2/global/pg_control" ]`;

const COPY_SEGMENTS = `
cd "$1/pg_wal" || exit 1
for f in *; do
  [ -f "$f" ] || continue
  cp -p "$f" "$2/pg_wal/" || [ ! -e "$f" ] || exit 1
done`;

async function refuseTablespaces(cluster: Cluster): Promise<void> {
  if ((await readdir(join(cluster.dataDir, 'pg_tblspc'))).length > 0) {
    throw new Error('a cluster with tablespaces cannot be copied: the copy would write into them');
  }
}

async function withoutServerFiles(cluster: Cluster): Promise<void> {
  await cluster.runOk(['rm', '-f', ...OF_THE_RUNNING_SERVER.map((name) => join(cluster.dataDir, name))]);
}
