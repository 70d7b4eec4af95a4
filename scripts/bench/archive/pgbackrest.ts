import { spawnSync } from 'node:child_process';
import type { Cluster } from '../../../test/support/cluster.ts';
import { PGBACKREST } from '../pgbackrest.ts';
import { FILES_AND_S3, PROCESSES, type Enter, type Hooks } from './archiver.ts';
import type { Repository } from './repository.ts';

/** One segment per call. */
export const pgbackrest: Enter = async () => enter('pgBackRest', []);

/** With a process behind the calls that pushes and fetches ahead; as much as walhold fetches by default. */
export const pgbackrestAsync: Enter = async () =>
  enter('pgBackRest async', ['archive-async=y', 'archive-get-queue-max=256MB']);

function enter(name: string, own: readonly string[]): Awaited<ReturnType<Enter>> {
  const version = spawnSync(PGBACKREST, ['version'], { encoding: 'utf8' }).stdout?.trim() ?? '';
  if (version === '') return { name, missing: 'it is not installed' };
  const settings = [`process-max=${PROCESSES}`, 'compress-type=zst', 'compress-level=1', ...own];
  return {
    name,
    version: version.replace(/^pgBackRest /, ''),
    setup: settings.map((setting) => `\`${setting}\``).join(', '),
    stores: FILES_AND_S3,
    connect: async (cluster, repository) => await connect(cluster, repository, settings),
  };
}

async function connect(cluster: Cluster, repository: Repository, settings: readonly string[]): Promise<Hooks> {
  const folders = ['spool', 'log', 'lock'].map(
    async (name) => `${name}-path=${await cluster.place.folder(`pgbackrest-${name}`)}`,
  );
  const lines = [
    '[global]',
    ...repositorySettings(repository),
    ...(await Promise.all(folders)),
    ...settings,
    'log-level-console=warn',
    'log-level-file=off',
    '[bench]',
    `pg1-path=${cluster.dataDir}`,
  ];
  const config = await cluster.place.file('pgbackrest.conf', `${lines.join('\n')}\n`);
  const words = [PGBACKREST, `--config=${config}`, '--stanza=bench'];
  await cluster.runOk([...words, '--no-online', 'stanza-create']);
  const call = words.join(' ');
  return { archiveCommand: `${call} archive-push %p`, restoreCommand: `${call} archive-get %f %p`, env: {} };
}

function repositorySettings(repository: Repository): string[] {
  if (repository.kind === 'files') return [`repo1-path=${repository.path}`];
  const { bucket, prefix, port, region, caFile, accessKey, secretKey } = repository;
  return [
    'repo1-type=s3',
    `repo1-path=/${prefix}`,
    `repo1-s3-bucket=${bucket}`,
    'repo1-s3-endpoint=localhost',
    `repo1-storage-port=${port}`,
    `repo1-storage-ca-file=${caFile}`,
    'repo1-s3-uri-style=path',
    `repo1-s3-region=${region}`,
    `repo1-s3-key=${accessKey}`,
    `repo1-s3-key-secret=${secretKey}`,
  ];
}
