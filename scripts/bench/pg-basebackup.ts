import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cluster } from '../../test/support/cluster.ts';
import { clientProgram } from './clients.ts';
import type { Contender, Enter } from './contender.ts';
import type { Trial } from './measure.ts';

const FORM = ['-Ft', '--compress=client-zstd:1', '-X', 'none', '-c', 'fast'];

/** The first with the changed blocks of incremental backups. */
const INCREMENTAL_MAJOR = 17;

/** PostgreSQL's own base backup in its tar form, and `tar` to unpack it. */
export const pgBasebackup: Enter = async (cluster): Promise<Contender | undefined> => {
  const program = await clientProgram(cluster, 'pg_basebackup');
  if (program === undefined) return undefined;
  const folder = await cluster.place.folder('pg_basebackup');
  const { stdout } = await cluster.runOk([...program, '--version']);
  const full = join(folder, 'full');
  const { env } = cluster;
  const server = ['-h', cluster.socketDir, '-p', '5432', '-U', 'postgres'];
  const backup = (target: string, options: readonly string[]): Trial => {
    return { argv: [...program, ...server, '-D', target, ...FORM, ...options], cwd: '/', env };
  };
  const incremental = cluster.postgres.major < INCREMENTAL_MAJOR ? undefined : await chain(cluster, folder, backup);
  return {
    name: 'pg_basebackup',
    version: /\d+\.\d+/.exec(stdout)?.[0] ?? '?',
    setup: `\`${FORM.join(' ')}\`; unpacked by \`tar --zstd\`, which checks and syncs nothing`,
    backup: () => backup(full, []),
    restore: (target) => ({ argv: ['tar', '--zstd', '-xf', join(full, 'base.tar.zst'), '-C', target], cwd: '/', env }),
    ...(incremental === undefined ? {} : { incremental }),
    backupFolders: () => [folder],
    forget: async () => void (await cluster.runOk(['sh', '-c', 'rm -rf "$1"/*', 'sh', folder])),
    complete: async (target) => {
      const wal = join(cluster.dataDir, 'pg_wal');
      await appendFile(join(target, 'postgresql.auto.conf'), `restore_command = 'cp ${wal}/%f %p'\n`);
      await cluster.runOk(['touch', join(target, 'recovery.signal')]);
    },
  };
};

/** `undefined` where there is no pg_combinebackup. */
async function chain(
  cluster: Cluster,
  folder: string,
  backup: (target: string, options: readonly string[]) => Trial,
): Promise<Contender['incremental']> {
  const combine = await clientProgram(cluster, 'pg_combinebackup');
  if (combine === undefined) return undefined;
  const parent = join(folder, 'full');
  const own = join(folder, 'incremental');
  return {
    backup: () => backup(own, [`--incremental=${join(parent, 'backup_manifest')}`]),
    restore: (target) => ({
      argv: ['sh', '-c', COMBINE, 'sh', parent, own, target, ...combine],
      cwd: '/',
      env: cluster.env,
    }),
  };
}

// The manifests lie beside the tar files, and are looked for in the folders.
const COMBINE = `
parent=$1 own=$2 target=$3
shift 3
for each in "$parent" "$own"; do
  mkdir -m 700 "$each/unpacked" || exit 1
  tar --zstd -xf "$each/base.tar.zst" -C "$each/unpacked" || exit 1
  cp "$each/backup_manifest" "$each/unpacked/" || exit 1
done
"$@" -o "$target" "$parent/unpacked" "$own/unpacked" || exit 1
rm -r "$parent/unpacked" "$own/unpacked"`.trim();
