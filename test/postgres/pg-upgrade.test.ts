import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { findPostgres } from '../../scripts/find-postgres.ts';
import { archiveEverything } from '../support/archiving.ts';
import { Cluster } from '../support/cluster.ts';
import { blocksFor } from '../support/document-blocks.ts';
import { Guide } from '../support/guide.ts';
import { archiveCommand } from '../support/hook.ts';
import { initdb } from '../support/initdb.ts';

const { hasClients } = await findPostgres();

describe.skipIf(!hasClients)('README.md on pg_upgrade', () => {
  // From a version to itself, which pg_upgrade does as well: one with its tools is enough.
  test('the new cluster is refused in the old prefix, and archives into a new one', async () => {
    await using guide = await Guide.start({ name: 'pg-upgrade' });
    const { cluster } = guide;
    await cluster.query('create table orders as select generate_series(1, 5000) as id');
    const old = await guide.backUp();
    await archiveEverything(cluster);
    await cluster.stop();
    await upgrade(guide);

    const refused = await guide.cluster.run([
      'sh',
      '-c',
      `cd "$1" && ${await pushCommand(guide)}`,
      'sh',
      upgraded(guide),
    ]);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toMatch(/system identifier/);

    await guide.run(blocksFor(import.meta.url), { '/etc/walhold/walhold.conf': guide.config });
    expect(await guide.queryAt(5432, 'select count(*)::int as count from orders')).toEqual([{ count: 5000 }]);
    const ids = async (...flags: string[]): Promise<string[]> => {
      const { stdout } = await guide.walhold('list', '--json', ...flags);
      return (JSON.parse(stdout) as { backups: { id: string }[] }).backups.map(({ id }) => id);
    };
    expect(await ids()).toHaveLength(1);
    expect(await ids()).not.toContain(old);
    expect(await ids('--repo', `file://${guide.repository}`)).toEqual([old]);
  });
});

function upgraded(guide: Guide): string {
  return guide.path('data-18');
}

async function upgrade({ cluster, config }: Guide): Promise<void> {
  const { postgres, user, dataDir, socketDir, place } = cluster;
  const to = join(place.path, 'data-18');
  await initdb(postgres, user, to, {});
  const bin = ['-b', postgres.bin, '-B', postgres.bin];
  const argv = [join(postgres.bin, 'pg_upgrade'), ...bin, '-d', dataDir, '-D', to, '-s', socketDir, '-U', 'postgres'];
  await cluster.runOk(argv, { cwd: place.path, timeoutMs: 180_000 });
  await using upgradedCluster = await Cluster.over(to);
  await upgradedCluster.configure({
    unix_socket_directories: socketDir,
    archive_mode: 'on',
    archive_command: await archiveCommand({ config }),
  });
}

/** What the new server would call for its first segment, with the old prefix. */
async function pushCommand({ config }: Guide): Promise<string> {
  const command = await archiveCommand({ config });
  return command.replace('%p', 'pg_wal/"$(ls pg_wal | grep -m1 -E "^[0-9A-F]{24}$")"');
}
