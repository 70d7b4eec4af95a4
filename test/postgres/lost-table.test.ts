import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { findPostgres } from '../../scripts/find-postgres.ts';
import { archiveEverything } from '../support/archiving.ts';
import { blocksFor } from '../support/document-blocks.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { Guide } from '../support/guide.ts';
import { waitFor } from '../support/wait-for.ts';

const { hasClients } = await findPostgres();

describe.skipIf(!hasClients)('RECOVERY.md on a lost table', () => {
  test('brings the rows back from a copy that stops just before', async () => {
    await using guide = await Guide.start({ name: 'lost-table' });
    const { cluster } = guide;
    await cluster.query('create table orders as select id, md5(id::text) as text from generate_series(1, 5000) id');
    const id = await guide.backUp();
    await cluster.query(`insert into orders select id, 'after the backup' from generate_series(5001, 6000) id`);
    const before = await fingerprint(cluster);
    const time = await cluster.value<string>('select clock_timestamp()::text');
    await cluster.query('drop table orders');
    await archiveEverything(cluster);

    const look = await guide.run(blocksFor(import.meta.url, 'look'));
    expect(look.stdout).toContain(id);

    await guide.run(blocksFor(import.meta.url, 'restore'), {
      '2026-11-22 17:45:00+00': time,
    });
    await waitFor(async () => (await guide.queryAt(5433, 'select 1 where not pg_is_in_recovery()')).length === 1, {
      what: 'the copy to be promoted',
    });
    expect(await guide.queryAt(5433, 'show archive_mode')).toEqual([{ archive_mode: 'off' }]);
    expect(await fingerprint(cluster)).toEqual({});

    await guide.run(blocksFor(import.meta.url, 'return'));
    expect(await fingerprint(cluster)).toEqual(before);
    expect(existsSync(guide.path('restored'))).toBe(false);
  });
});
