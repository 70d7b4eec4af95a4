import { join } from 'node:path';
import type { Contender, Enter } from './contender.ts';

/** Copies: what the disk allows. They compress nothing, check nothing and sync nothing, and the copy is no backup. */
export const cp: Enter = async ({ cluster }): Promise<Contender> => {
  const archive = await cluster.place.folder('cp-archive');
  const copy = join(cluster.place.path, 'cp-backup');
  const { env, dataDir: cwd } = cluster;
  const { stdout } = await cluster.runOk(['cp', '--version']);
  return {
    name: 'cp',
    version: /[\d.]+$/m.exec(stdout.split('\n')[0] ?? '')?.[0] ?? '?',
    setup: 'no compression, no check, no fsync; of the data directory without `pg_wal`: not a backup',
    push: (segment) => ({ argv: ['cp', `pg_wal/${segment}`, join(archive, segment)], cwd, env }),
    fetch: (segment, scratch, target) => ({ argv: ['cp', join(archive, segment), target], cwd: scratch, env }),
    backup: () => ({ argv: ['sh', '-c', COPY_WITHOUT_WAL, 'sh', cwd, copy], cwd: '/', env }),
    restore: (target) => ({ argv: ['cp', '-a', `${copy}/.`, target], cwd: '/', env }),
    backupFolders: () => [copy],
    forget: async () => void (await cluster.runOk(['rm', '-rf', copy])),
  };
};

// As a backup leaves it out. cp has no option for that.
const COPY_WITHOUT_WAL = `
mkdir "$2" && cd "$1" || exit 1
for f in *; do [ "$f" = pg_wal ] || cp -a "$f" "$2/" || exit 1; done`;

/** PostgreSQL's own base backup in its tar form, and `tar` to unpack it. */
export const pgBasebackup: Enter = async ({ cluster }): Promise<Contender> => {
  const program = join(cluster.postgres.bin, 'pg_basebackup');
  const folder = join(cluster.place.path, 'pg_basebackup');
  const { stdout } = await cluster.runOk([program, '--version']);
  const { env } = cluster;
  const server = ['-h', cluster.socketDir, '-p', '5432', '-U', 'postgres', '-D', folder];
  return {
    name: 'pg_basebackup',
    version: /\d+\.\d+/.exec(stdout)?.[0] ?? '?',
    setup: '`-Ft --compress=client-zstd:1 -X none -c fast`; unpacked by `tar --zstd`, which checks and syncs nothing',
    backup: () => {
      const form = ['-Ft', '--compress=client-zstd:1', '-X', 'none', '-c', 'fast'];
      return { argv: [program, ...server, ...form], cwd: '/', env };
    },
    restore: (target) => ({
      argv: ['tar', '--zstd', '-xf', join(folder, 'base.tar.zst'), '-C', target],
      cwd: '/',
      env,
    }),
    backupFolders: () => [folder],
    forget: async () => void (await cluster.runOk(['rm', '-rf', folder])),
  };
};
