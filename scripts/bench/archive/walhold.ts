import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from '../../../test/support/cluster.ts';
import { archiveCommand, built, restoreCommand, writeConfig } from '../../../test/support/hook.ts';
import type { Settings } from '../../../test/support/server-settings.ts';
import { ROOT } from '../../build.ts';
import { FILES_AND_S3, PROCESSES, type Archiver, type Hooks } from './archiver.ts';
import type { Repository } from './repository.ts';

const COMMON: Settings = { jobs: PROCESSES, compress_level: 1 };

/** With its background worker, which is there for whoever sets one of these; the values are the defaults. */
export const walhold = async (): Promise<Archiver> =>
  await named('walhold', { push_ahead: '1GB', fetch_ahead: '256MB' });

/** Without its background worker: each call does its own work. */
export const walholdDirect = async (): Promise<Archiver> =>
  await named('walhold direct', { push_ahead: 0, fetch_ahead: 0 });

async function named(name: string, own: Settings): Promise<Archiver> {
  await built('walhold'); // fails early where the sources do not build
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  const settings = { ...COMMON, ...own };
  const setup = Object.entries(settings).map(([setting, value]) => `\`${setting} = ${value}\``);
  return {
    name,
    version,
    setup: setup.join(', '),
    stores: FILES_AND_S3,
    connect: async (cluster, repository) => await connect(cluster, repository, settings),
  };
}

async function connect(cluster: Cluster, repository: Repository, settings: Settings): Promise<Hooks> {
  const { place, env } = repositorySettings(repository);
  const config = await writeConfig(cluster, { ...settings, ...place });
  const hook = { config };
  return { archiveCommand: await archiveCommand(hook), restoreCommand: await restoreCommand(hook), env };
}

function repositorySettings(repository: Repository): { place: Settings; env: Hooks['env'] } {
  if (repository.kind === 'files') return { place: { repo: `file://${repository.path}` }, env: {} };
  const { bucket, prefix, port, region, caFile, accessKey, secretKey } = repository;
  const place = {
    repo: `s3://${bucket}/${prefix}`,
    s3_endpoint: `https://localhost:${port}`,
    s3_region: region,
    s3_path_style: true,
    s3_ca_file: caFile,
  };
  return { place, env: { AWS_ACCESS_KEY_ID: accessKey, AWS_SECRET_ACCESS_KEY: secretKey } };
}
