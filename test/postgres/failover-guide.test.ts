import { describe, expect, test } from 'vitest';
import { findPostgres } from '../../scripts/find-postgres.ts';
import { archiveEverything, switchWal } from '../support/archiving.ts';
import type { Cluster } from '../support/cluster.ts';
import { blocksFor } from '../support/document-blocks.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { Guide } from '../support/guide.ts';
import { makeStandby, waitUntilCaughtUp } from '../support/standby.ts';

const { hasClients } = await findPostgres();

describe.skipIf(!hasClients)('RECOVERY.md on a failover with the old primary behind', () => {
  test('wal push closes the hole, and the old primary follows', async () => {
    await using old = await Guide.start({ name: 'old-primary', settings: { wal_keep_size: '1GB' } }, () => ({
      // A worker would store for a while what the archiver does not ask for.
      push_ahead: 0,
    }));
    await old.cluster.query('create table orders as select generate_series(1, 5000) as id');
    await old.backUp();
    await using standby = await makeStandby(old.cluster, { streaming: true, name: 'new-primary' });
    await standby.start();
    const unarchived = await fallBehind(old.cluster, standby);
    await old.cluster.kill9();
    await standby.promote();
    await archiveEverything(standby);
    expect(await gapsOf(old)).toEqual([{ timeline: 1, first: unarchived[0], last: unarchived.at(-1) }]);

    const next = new Guide(standby, old.repository, old.config);
    const missing = await next.attempt(blocksFor(import.meta.url, 'missing'));
    expect(missing).toMatchObject({ status: 1, stdout: `${unarchived.join('\n')}\n` });
    await next.run(blocksFor(import.meta.url, 'push'));
    expect(await gapsOf(old)).toEqual([]);

    await next.run(blocksFor(import.meta.url, 'rewind'), {
      '/var/lib/pgsql/old': old.cluster.dataDir,
      'host=new-primary user=postgres dbname=postgres': standby.connectionString,
    });
    await old.cluster.configure({ primary_conninfo: standby.connectionString });
    await standby.query('insert into orders select generate_series(20001, 21000)');
    await old.cluster.start();
    await waitUntilCaughtUp(old.cluster, standby);
    expect(await old.cluster.value('select pg_is_in_recovery()')).toBe(true);
    expect(await fingerprint(old.cluster)).toEqual(await fingerprint(standby));
  });
});

/** The primary fills segments that reach the standby, and not the archive; returns their names. */
async function fallBehind(primary: Cluster, standby: Cluster): Promise<string[]> {
  await archiveEverything(primary);
  await primary.reconfigure({ archive_command: '/bin/false' });
  const names: string[] = [];
  for (const start of [5001, 6001, 7001]) {
    await primary.query(`insert into orders select generate_series(${start}, ${start + 999})`);
    names.push(await switchWal(primary));
  }
  await waitUntilCaughtUp(standby, primary);
  return names;
}

async function gapsOf(guide: Guide): Promise<unknown> {
  const { stdout } = await guide.walhold('list', '--json');
  return (JSON.parse(stdout) as { gaps: unknown }).gaps;
}
