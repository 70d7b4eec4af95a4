import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { Contender, Enter } from './contender.ts';

/** Where Debian's package puts it. */
export const PGBACKREST = '/usr/bin/pgbackrest';

/** Debian's package, with the same number of processes, the same compression and small files bundled. */
export const pgbackrest: Enter = async (cluster): Promise<Contender | undefined> => {
  const version = spawnSync(PGBACKREST, ['version'], { encoding: 'utf8' }).stdout?.trim();
  if (version === undefined || version === '') return undefined;
  const repository = await cluster.place.folder('pgbackrest');
  const logs = await cluster.place.folder('pgbackrest-log');
  const locks = await cluster.place.folder('pgbackrest-lock');
  const config = await cluster.place.file(
    'pgbackrest.conf',
    `[global]
repo1-path=${repository}
repo1-bundle=y
repo1-retention-full=1
compress-type=zst
compress-level=1
process-max=2
start-fast=y
log-path=${logs}
lock-path=${locks}
log-level-console=warn
log-level-file=off

[bench]
pg1-path=${cluster.dataDir}
pg1-socket-path=${cluster.socketDir}
pg1-port=5432
pg1-user=postgres
`,
  );
  const base = [PGBACKREST, `--config=${config}`, '--stanza=bench'];
  await cluster.runOk([...base, 'stanza-create']);
  const { env, dataDir: cwd } = cluster;
  return {
    name: 'pgBackRest',
    version: version.replace(/^pgBackRest /, ''),
    setup: '`process-max=2`, `compress-type=zst`, `compress-level=1`, `repo1-bundle=y`, `start-fast=y`',
    archiveCommand: `${base.join(' ')} archive-push %p`,
    push: (segment) => ({ argv: [...base, 'archive-push', `pg_wal/${segment}`], cwd, env }),
    fetch: (segment, scratch, target) => ({
      argv: [...base, `--pg1-path=${scratch}`, 'archive-get', segment, target],
      cwd: scratch,
      env,
    }),
    backup: () => ({ argv: [...base, '--type=full', 'backup'], cwd: '/', env }),
    incremental: { backup: () => ({ argv: [...base, '--type=incr', 'backup'], cwd: '/', env }) },
    restore: (target) => ({
      argv: [...base, `--pg1-path=${target}`, '--type=immediate', '--archive-mode=off', 'restore'],
      cwd: '/',
      env,
    }),
    backupFolders: () => [join(repository, 'backup')],
  };
};
