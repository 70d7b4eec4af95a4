import { chown, link, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Cluster } from '../../../test/support/cluster.ts';
import type { Settings } from '../../../test/support/server-settings.ts';
import { settle } from '../settle.ts';
import type { Archiver, Hooks } from './archiver.ts';
import type { Repository } from './repository.ts';
import { MEASURED_MAJOR, type Wal } from './wal.ts';

/** How a server is set up in all trials: what it would be in production, and nothing it archived goes away. */
const SETTINGS: Settings = {
  fsync: true,
  full_page_writes: true,
  synchronous_commit: 'on',
  shared_buffers: '256MB',
  max_wal_size: '1GB',
  wal_keep_size: '64GB',
  log_line_prefix: '%n [%p] ',
  archive_mode: 'on',
};

/** What is done to the two commands before a server gets them. */
export interface Around {
  archive?: (command: string) => string;
  restore?: (command: string) => string;
}

/** A server with a backlog: stopped, with the first `count` segments complete and ready to be archived. */
export async function withBacklog(
  wal: Wal,
  count: number,
  archiver: Archiver,
  repository: Repository,
  around: Around = {},
): Promise<Cluster> {
  return await copy(wal.after, async (cluster) => {
    for (const name of wal.segments.slice(0, count)) {
      await link(join(wal.folder, name), join(cluster.dataDir, 'pg_wal', name));
      await note(cluster, `pg_wal/archive_status/${name}.ready`);
    }
    await hookUp(cluster, await archiver.connect(cluster, repository), around);
  });
}

/** A server with pgbench's tables, stopped, whose WAL goes to the repository. */
export async function withTables(wal: Wal, archiver: Archiver, repository: Repository): Promise<Cluster> {
  return await copy(wal.before, async (cluster) => {
    await hookUp(cluster, await archiver.connect(cluster, repository));
  });
}

/** A server that recovers from the repository at its next start, to the end of the WAL there. It has none itself. */
export async function toRecover(
  wal: Wal,
  archiver: Archiver,
  repository: Repository,
  around: Around = {},
): Promise<Cluster> {
  return await copy(wal.before, async (cluster) => {
    await cluster.runOk(['rm', '-r', join(cluster.dataDir, 'pg_wal')]);
    await cluster.runOk(['mkdir', '-m', '700', join(cluster.dataDir, 'pg_wal')]);
    await cluster.runOk(['mkdir', '-m', '700', join(cluster.dataDir, 'pg_wal', 'archive_status')]);
    await note(cluster, 'recovery.signal');
    await hookUp(cluster, await archiver.connect(cluster, repository), around);
    await cluster.configure({ archive_mode: 'off' });
  });
}

async function copy(from: string, prepare: (cluster: Cluster) => Promise<void>): Promise<Cluster> {
  const cluster = await Cluster.over(undefined, { major: MEASURED_MAJOR, name: 'bench' });
  try {
    await cluster.runOk(['cp', '-a', from, cluster.dataDir], { timeoutMs: 300_000 });
    await cluster.configure(SETTINGS);
    await prepare(cluster);
    settle();
    return cluster;
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
}

async function hookUp(cluster: Cluster, hooks: Hooks, { archive, restore }: Around = {}): Promise<void> {
  Object.assign(cluster.env, hooks.env);
  await cluster.configure({
    archive_command: archive?.(hooks.archiveCommand) ?? hooks.archiveCommand,
    restore_command: restore?.(hooks.restoreCommand) ?? hooks.restoreCommand,
  });
}

async function note(cluster: Cluster, name: string): Promise<void> {
  const path = join(cluster.dataDir, name);
  await writeFile(path, '', { mode: 0o600 });
  await chown(path, cluster.user.uid, cluster.user.gid);
}
