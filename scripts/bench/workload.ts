import { join } from 'node:path';
import { Cluster } from '../../test/support/cluster.ts';
import { NO_ARCHIVING } from './archive-by.ts';
import type { BenchOptions } from './options.ts';
import { sizeOf } from './size-of.ts';

const MEASURED_MAJOR = 15;

/** A running cluster with pgbench's tables, and WAL of pgbench's transactions to push. */
export interface Workload extends AsyncDisposable {
  cluster: Cluster;
  /** Whole segments written by transactions, oldest first; they stay in `pg_wal`. */
  segments: readonly string[];
  /** The data directory without `pg_wal`. */
  dataBytes: number;
}

/**
 * Makes the cluster: page checksums on, 16 MB segments, fsync on.
 *
 * @throws when this machine has no PostgreSQL 15 with pgbench.
 */
export async function makeWorkload({ rounds, scale, segments }: BenchOptions): Promise<Workload> {
  const cluster = await Cluster.create({
    major: MEASURED_MAJOR,
    name: 'bench',
    settings: {
      fsync: true,
      shared_buffers: '256MB',
      max_wal_size: '4GB',
      checkpoint_timeout: '1h',
      wal_keep_size: '64GB',
      archive_mode: 'on',
      archive_command: NO_ARCHIVING,
      log_checkpoints: false,
    },
  });
  try {
    if (!cluster.postgres.hasClients)
      throw new Error('PostgreSQL 15 with its client programs is needed: pgbench, psql');
    await cluster.start();
    await cluster.runOk(pgbench(cluster, '-i', '-q', '-s', String(scale)), { timeoutMs: 900_000 });
    await cluster.query('checkpoint');
    const names = await writeSegments(cluster, rounds * segments);
    await cluster.query('checkpoint');
    const dataBytes = await sizeOf(cluster, ['--exclude=pg_wal', cluster.dataDir]);
    return {
      cluster,
      segments: names,
      dataBytes,
      [Symbol.asyncDispose]: async () => await cluster[Symbol.asyncDispose](),
    };
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
}

/** pgbench's own transactions until `count` segments are full, that at hand with them. The WAL must be kept; `options` are pgbench's. */
export async function writeSegments(
  cluster: Cluster,
  count: number,
  options: readonly string[] = [],
): Promise<string[]> {
  const current = async (): Promise<string> =>
    await cluster.value<string>('select pg_walfile_name(pg_current_wal_insert_lsn())');
  const first = await current();
  let last = first;
  let full: string[] = [];
  while (full.length < count) {
    await cluster.runOk(pgbench(cluster, '-c', '4', '-j', '2', '-T', '10', '-n', ...options), { timeoutMs: 120_000 });
    last = await current();
    const names = (await cluster.walFiles()).filter((name) => /^[0-9A-F]{24}$/.test(name));
    full = names.filter((name) => name >= first && name < last);
  }
  return full.slice(0, count);
}

/** The words that run pgbench against this cluster. */
export function pgbench(cluster: Cluster, ...args: string[]): string[] {
  return [join(cluster.postgres.bin, 'pgbench'), '-h', cluster.socketDir, '-p', '5432', '-U', 'postgres', ...args];
}
