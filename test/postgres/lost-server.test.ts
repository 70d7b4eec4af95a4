import { describe, expect, test } from 'vitest';
import { findPostgres } from '../../scripts/find-postgres.ts';
import { archiveEverything } from '../support/archiving.ts';
import { blocksFor } from '../support/document-blocks.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { Guide } from '../support/guide.ts';
import { waitFor } from '../support/wait-for.ts';

const { hasClients } = await findPostgres();

describe.skipIf(!hasClients)('RECOVERY.md on a lost server', () => {
  test('restores all that was archived, archives on, and takes a backup', async () => {
    await using guide = await Guide.start({ name: 'lost-server' });
    const { cluster } = guide;
    await cluster.query('create table orders as select generate_series(1, 5000) as id');
    const first = await guide.backUp();
    await cluster.query('insert into orders select generate_series(5001, 6000)');
    await archiveEverything(cluster);
    const archived = await fingerprint(cluster);
    await cluster.kill9();
    await cluster.runOk(['rm', '-r', cluster.dataDir]);

    await guide.run(blocksFor(import.meta.url, 'restore'));
    await waitFor(async () => (await guide.queryAt(5432, 'select 1 where not pg_is_in_recovery()')).length === 1, {
      what: 'the end of recovery',
    });
    expect(await fingerprint(cluster)).toEqual(archived);
    expect(await cluster.value('show archive_mode')).toBe('on');

    const second = await guide.run(blocksFor(import.meta.url, 'backup'));
    const list = await guide.walhold('list', '--json');
    const { backups } = JSON.parse(list.stdout) as { backups: { id: string; timeline: number }[] };
    const byId = Object.fromEntries(backups.map(({ id, timeline }) => [id, timeline]));
    expect(byId).toEqual({ [first]: 1, [second.stdout.trim()]: 2 });
  });
});
