import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { archivedCluster, backUp, restored } from '../support/archived-cluster.ts';
import { archiveEverything } from '../support/archiving.ts';
import { recordOf } from '../support/backup-folder.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { createTablespace } from '../support/tablespace.ts';
import { waitFor } from '../support/wait-for.ts';

/*
 * Between a backup's start, when the server writes down its tablespaces, and the listing of its files lies a moment, and more where
 * summaries are waited for: the summarizer is stopped here, so that it lasts.
 */
test('tablespaces that come and go while a backup begins do no harm', async () => {
  await using archived = await archivedCluster({ major: 18, settings: { summarize_wal: true } });
  const { cluster, config } = archived;
  await cluster.start();
  const early = await createTablespace(cluster, 'early');
  const going = await createTablespace(cluster, 'going');
  await cluster.query('create table t tablespace early as select generate_series(1, 5000) as i');
  await cluster.query('create table leaving tablespace going as select generate_series(1, 5000) as i');
  await backUp(cluster, config);
  await cluster.query('insert into t select generate_series(1, 100)');

  const summarizer = Number(
    await cluster.value("select pid from pg_stat_activity where backend_type = 'walsummarizer'"),
  );
  process.kill(summarizer, 'SIGSTOP');
  let backup: Promise<string>;
  try {
    backup = backUp(cluster, config, ['--type', 'incremental']);
    const waits =
      "select count(*)::int from pg_stat_activity where pid <> pg_backend_pid() and query like '%wal_summar%'";
    await waitFor(async () => Number(await cluster.value(waits)) > 0, { what: 'the backup to wait for summaries' });
    await createTablespace(cluster, 'late');
    await cluster.query('create table arrived tablespace late as select generate_series(1, 5000) as i');
    await cluster.query('alter table leaving set tablespace early');
    await cluster.query('checkpoint');
    await cluster.query('drop tablespace going');
  } finally {
    process.kill(summarizer, 'SIGCONT');
  }
  const id = await backup;
  const { tablespaces } = await recordOf(archived, id);
  expect(tablespaces.map(({ path }) => path)).toEqual([early, going]);
  await archiveEverything(cluster);
  const content = await fingerprint(cluster);
  // Where `late` lies is in the WAL alone.
  await cluster.stop();

  const places = [early, going].map((_, index) => join(cluster.place.path, `space ${index}`));
  const mapped = [early, going].flatMap((folder, index) => ['-T', `${folder}=${places[index] ?? ''}`]);
  await using copy = await restored(cluster, config, ['--backup', id, ...mapped]);
  expect(await readFile(join(copy.dataDir, 'tablespace_map'), 'utf8')).toContain('space 1');
  await copy.start();
  await copy.waitUntilPromoted();
  expect(await fingerprint(copy)).toEqual(content);
  const names = await copy.query<{ name: string }>(
    'select spcname::text as name from pg_tablespace where oid >= 16384 order by oid',
  );
  expect(names.map(({ name }) => name)).toEqual(['early', 'late']);
});
