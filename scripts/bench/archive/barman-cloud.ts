import { spawnSync } from 'node:child_process';
import type { Cluster } from '../../../test/support/cluster.ts';
import type { Enter, Hooks } from './archiver.ts';
import type { Repository } from './repository.ts';

const ARCHIVE = '/usr/bin/barman-cloud-wal-archive';
const RESTORE = '/usr/bin/barman-cloud-wal-restore';

// Some packages of it can be loaded, and fail at the first byte.
const TRY_SNAPPY = 'import snappy; snappy.StreamCompressor().add_chunk(b"wal")';

/**
 * barman's tools for buckets. They know no zstd and no other process than the one called. Snappy is the nearest; without it nothing
 * is compressed, since Python's gzip, at its strongest, would be all that is measured.
 */
export const barmanCloud: Enter = async () => {
  const name = 'barman-cloud';
  const version = spawnSync(ARCHIVE, ['--version'], { encoding: 'utf8' }).stdout?.trim() ?? '';
  if (version === '') return { name, missing: 'it is not installed' };
  const hasSnappy = spawnSync('/usr/bin/python3', ['-c', TRY_SNAPPY]).status === 0;
  return {
    name,
    version: version.split(' ').at(-1) ?? '?',
    setup: hasSnappy
      ? '`--snappy`, the nearest to zstd that it has'
      : 'no compression, which makes it faster: it has no zstd, its snappy does not work here, and its gzip takes seconds per segment',
    stores: ['S3'],
    connect: async (cluster, repository) => await connect(cluster, repository, hasSnappy ? ['--snappy'] : []),
  };
};

async function connect(cluster: Cluster, repository: Repository, options: readonly string[]): Promise<Hooks> {
  if (repository.kind !== 'S3') throw new Error('barman-cloud stores in buckets only');
  const { bucket, prefix, port, region, caFile, accessKey, secretKey } = repository;
  const style = '[default]\ns3 =\n  addressing_style = path\n';
  const place = `--endpoint-url https://localhost:${port}`;
  const to = `s3://${bucket}/${prefix} bench`;
  return {
    archiveCommand: [ARCHIVE, place, ...options, to, '%p'].join(' '),
    restoreCommand: `${RESTORE} ${place} ${to} %f %p`,
    env: {
      AWS_CONFIG_FILE: await cluster.place.file('aws-config', style),
      AWS_CA_BUNDLE: caFile,
      AWS_DEFAULT_REGION: region,
      AWS_ACCESS_KEY_ID: accessKey,
      AWS_SECRET_ACCESS_KEY: secretKey,
    },
  };
}
