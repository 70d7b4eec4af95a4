import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { archiveCommand, built, writeConfig } from '../../test/support/hook.ts';
import { ROOT } from '../build.ts';
import type { Contender, Enter } from './contender.ts';
import type { Trial } from './measure.ts';

/** This project, built from the sources at hand. */
export const walhold: Enter = async (cluster): Promise<Contender> => {
  const repository = await cluster.place.folder('walhold');
  const config = await writeConfig(cluster, { repo: `file://${repository}`, jobs: 2, compress_level: 1 });
  const program = await built('walhold');
  const push = await built('walhold-push');
  const fetch = await built('walhold-fetch');
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  const { env, dataDir: cwd } = cluster;
  const backup = (options: readonly string[]): Trial => {
    const server = ['-D', cluster.dataDir, '-d', cluster.connectionString, '-c', 'fast'];
    return { argv: [program, '--config', config, 'backup', ...server, ...options], cwd: '/', env };
  };
  return {
    name: 'walhold',
    version,
    setup: '`jobs = 2`, `compress_level = 1`, repository `file://`',
    archiveCommand: await archiveCommand({ config }),
    push: (segment) => ({ argv: [push, '--config', config, `pg_wal/${segment}`], cwd, env }),
    fetch: (segment, scratch, target) => ({ argv: [fetch, '--config', config, segment, target], cwd: scratch, env }),
    backup: () => backup([]),
    incremental: { backup: () => backup(['--type', 'incremental']) },
    restore: (target) => {
      const options = ['-D', target, '--backup', 'latest', '--target-immediate', '--archive-mode', 'off'];
      return { argv: [program, '--config', config, 'restore', ...options], cwd: '/', env };
    },
    backupFolders: () => [join(repository, 'backup')],
    forget: async () => {
      // Locked repositories and those of others would say no; this one is the benchmark's own.
      await cluster.runOk(['sh', '-c', 'chmod -R u+w "$1" 2>/dev/null; rm -rf "$1"', 'sh', join(repository, 'backup')]);
    },
  };
};
