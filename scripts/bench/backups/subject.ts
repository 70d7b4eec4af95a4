import { existsSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { Cluster } from '../../../test/support/cluster.ts';
import type { Settings } from '../../../test/support/server-settings.ts';
import { NO_ARCHIVING } from '../archive-by.ts';
import { sizeOf } from '../size-of.ts';
import type { DataSet } from './data-set.ts';

/** A running, idle server with a data set in it. */
export interface Subject extends AsyncDisposable {
  data: DataSet;
  cluster: Cluster;
  /** The data directory without `pg_wal`, holes counted. */
  bytes: number;
}

// Tables that are filled in the transaction that makes them are not in the WAL then.
const WHILE_FILLING: Settings = {
  wal_level: 'minimal',
  max_wal_senders: 0,
  archive_mode: 'off',
  fsync: false,
  full_page_writes: false,
  summarize_wal: false,
  shared_buffers: '512MB',
  maintenance_work_mem: '512MB',
  max_locks_per_transaction: 2048,
};

// Backups are compared while nothing else goes on. The WAL is kept for those contenders that do not archive.
const MEASURED: Settings = {
  wal_level: 'replica',
  max_wal_senders: 5,
  archive_mode: 'on',
  archive_command: NO_ARCHIVING,
  fsync: true,
  full_page_writes: true,
  shared_buffers: '256MB',
  max_wal_size: '1GB',
  wal_keep_size: '1GB',
  checkpoint_timeout: '1h',
  autovacuum: false,
  log_checkpoints: false,
};

const LONG_MS = 600_000;

/**
 * Makes the cluster, or takes the one that an earlier run has kept; page checksums are on.
 *
 * @param keep a folder on the disk of the temporary directory; without it the cluster goes with this process.
 */
export async function openSubject(
  data: DataSet,
  keep: string | undefined,
  tell: (line: string) => void,
): Promise<Subject> {
  const kept = keep === undefined ? undefined : join(keep, data.name);
  const cluster = kept !== undefined && existsSync(kept) ? await over(kept, data) : await made(data, kept, tell);
  try {
    await cluster.configure({ ...MEASURED, ...data.settings });
    await cluster.start({ deadlineMs: LONG_MS });
    await cluster.query('checkpoint');
    const bytes = await sizeOf(cluster, ['--apparent-size', '--exclude=pg_wal', cluster.dataDir]);
    return { data, cluster, bytes, [Symbol.asyncDispose]: async () => await close(cluster) };
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
}

/** Reads all that is there once, and no holes. */
export async function warmUp({ cluster }: Subject): Promise<void> {
  const script = 'tar -c -S "$1" | cat >/dev/null';
  await cluster.runOk(['sh', '-c', script, 'sh', cluster.dataDir], { timeoutMs: LONG_MS });
}

async function made(data: DataSet, kept: string | undefined, tell: (line: string) => void): Promise<Cluster> {
  tell(`a cluster is made: ${data.title}`);
  const cluster = await Cluster.create({ major: data.major, name: 'bench' });
  try {
    // Only some versions know of it.
    const { summarize_wal, ...settings } = WHILE_FILLING;
    await cluster.configure({ ...settings, ...(data.major >= 17 ? { summarize_wal: summarize_wal ?? false } : {}) });
    await cluster.start();
    await data.fill(cluster);
    await cluster.stop('fast', LONG_MS);
    if (kept === undefined) return cluster;
    await mkdir(join(kept, '..'), { recursive: true });
    await rename(cluster.dataDir, kept);
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
  await cluster[Symbol.asyncDispose]();
  return await over(kept, data);
}

async function over(dataDir: string, { major }: DataSet): Promise<Cluster> {
  return await Cluster.over(dataDir, { major, name: 'bench' });
}

/** In order, so that a kept one need not recover. */
async function close(cluster: Cluster): Promise<void> {
  await cluster.stop('fast', LONG_MS).catch(() => {});
  await cluster[Symbol.asyncDispose]();
}
