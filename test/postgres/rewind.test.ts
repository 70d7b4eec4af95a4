import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { archivedCluster } from '../support/archived-cluster.ts';
import { archiveEverything } from '../support/archiving.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { restoreCommand } from '../support/hook.ts';
import { filedSegments } from '../support/repository-files.ts';
import { makeStandby, waitUntilCaughtUp } from '../support/standby.ts';
import { findPostgres } from '../../scripts/find-postgres.ts';

const { hasClients } = await findPostgres();

test.runIf(hasClients)('pg_rewind -c brings an old primary back with WAL that only the archive has', async () => {
  await using original = await archivedCluster();
  const { cluster: old, config, repository } = original;
  await old.start();
  await old.query('create table t as select generate_series(1, 1000) as i');
  const restore_command = await restoreCommand({ config });
  await old.configure({ restore_command, wal_log_hints: true });
  await using next = await makeStandby(old, { streaming: true, settings: { restore_command } });
  await next.start();
  await waitUntilCaughtUp(next, old);
  await next.promote();
  await next.query('insert into t select generate_series(1, 1000)');
  await archiveEverything(next);
  await next.query('checkpoint'); // until its first one, pg_rewind up to 15 believes it to be on the old timeline

  for (let round = 0; round < 3; round += 1) {
    await old.query('update t set i = -i');
    await archiveEverything(old);
  }
  await old.stop('fast');
  await removeWal(old.dataDir, await filedSegments(repository, '00000001'));

  const rewind = [join(old.postgres.bin, 'pg_rewind'), '-D', old.dataDir, '--source-server', next.connectionString];
  const without = await old.run([...rewind, '--dry-run'], { cwd: repository });
  expect(without.status).toBe(1);
  expect(without.stderr).toMatch(/could not (open|find)/);
  const result = await old.run([...rewind, '-c'], { cwd: repository });
  expect(result.stderr).not.toMatch(/walhold-fetch: error/);
  expect(result).toMatchObject({ status: 0 });

  await old.runOk(['touch', join(old.dataDir, 'standby.signal')]);
  await old.configure({ primary_conninfo: next.connectionString, restore_command });
  await old.start({ until: 'nothing' });
  await old.waitForLog(/started streaming WAL/);
  await next.query('insert into t values (-1)'); // or it waits for the next record of its own, some ten seconds
  await old.waitUntilConnectable();
  await waitUntilCaughtUp(old, next);
  expect(await fingerprint(old)).toEqual(await fingerprint(next));
});

/** What the last checkpoint has not removed already. */
async function removeWal(dataDir: string, names: readonly string[]): Promise<void> {
  await Promise.all(names.map(async (name) => await rm(join(dataDir, 'pg_wal', name), { force: true })));
}
