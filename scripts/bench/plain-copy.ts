import { join } from 'node:path';
import type { Cluster } from '../../test/support/cluster.ts';
import type { Contender, Enter } from './contender.ts';

/** Copies: what the disk allows. They compress nothing, check nothing and sync nothing, and the copy is no backup. */
export const cp: Enter = async (cluster): Promise<Contender> => {
  const archive = await cluster.place.folder('cp-archive');
  const copy = join(cluster.place.path, 'cp-backup');
  const { env, dataDir: cwd } = cluster;
  return {
    name: 'cp',
    version: await versionOf(cluster),
    setup: 'no compression, no check, no fsync; of the data directory without `pg_wal`: not a backup',
    push: (segment) => ({ argv: ['cp', `pg_wal/${segment}`, join(archive, segment)], cwd, env }),
    fetch: (segment, scratch, target) => ({ argv: ['cp', join(archive, segment), target], cwd: scratch, env }),
    backup: () => ({ argv: ['sh', '-c', COPY_WITHOUT_WAL, 'sh', cwd, copy], cwd: '/', env }),
    restore: (target) => ({ argv: ['cp', '-a', `${copy}/.`, target], cwd: '/', env }),
    backupFolders: () => [copy],
    forget: async () => void (await cluster.runOk(['rm', '-rf', copy])),
    complete: async (target) => await addWal(cluster, target),
  };
};

/** The same with all of it on disk at the end: less than this no restore can take here that may be trusted. */
export const syncedCp: Enter = async (cluster): Promise<Contender> => {
  const own = join(cluster.place.path, 'synced-cp-backup');
  const { env, dataDir: cwd } = cluster;
  return {
    name: 'cp synced',
    version: await versionOf(cluster),
    setup: 'as `cp`, and `sync -f` at the end: what the disk takes for the bytes alone',
    backup: () => ({ argv: ['sh', '-c', `${COPY_WITHOUT_WAL}\nsync -f .`, 'sh', cwd, own], cwd: '/', env }),
    restore: (target) => ({
      argv: ['sh', '-c', 'cp -a "$1/." "$2" && sync -f "$2"', 'sh', own, target],
      cwd: '/',
      env,
    }),
    backupFolders: () => [own],
    forget: async () => void (await cluster.runOk(['rm', '-rf', own])),
    complete: async (target) => await addWal(cluster, target),
  };
};

async function versionOf(cluster: Cluster): Promise<string> {
  const { stdout } = await cluster.runOk(['cp', '--version']);
  return /[\d.]+$/m.exec(stdout.split('\n')[0] ?? '')?.[0] ?? '?';
}

async function addWal(cluster: Cluster, target: string): Promise<void> {
  const script = 'chmod 700 "$2" && cp -a "$1/pg_wal" "$2/" && rm -f "$2/postmaster.pid"';
  await cluster.runOk(['sh', '-c', script, 'sh', cluster.dataDir, target]);
}

// As a backup leaves it out. cp has no option for that.
const COPY_WITHOUT_WAL = `
mkdir "$2" && cd "$1" || exit 1
for f in *; do [ "$f" = pg_wal ] || cp -a "$f" "$2/" || exit 1; done`;
