import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { findPostgres } from '../../scripts/find-postgres.ts';
import { archiveEverything } from '../support/archiving.ts';
import { blocksFor } from '../support/document-blocks.ts';
import { Guide } from '../support/guide.ts';
import { waitFor } from '../support/wait-for.ts';

const { hasClients } = await findPostgres();

describe.skipIf(!hasClients)('RECOVERY.md on a hole in the log', () => {
  test('the plan names it, and --end-at-gap ends the recovery before it', async () => {
    await using guide = await Guide.start({ name: 'hole' });
    const { cluster } = guide;
    await cluster.query('create table orders (id int)');
    await guide.backUp();
    await cluster.query('insert into orders select generate_series(1, 1000)');
    await archiveEverything(cluster);
    await cluster.query('insert into orders select generate_series(1001, 2000)');
    const lost = await archiveEverything(cluster);
    await cluster.query('insert into orders select generate_series(2001, 3000)');
    await archiveEverything(cluster);
    await removeSegment(guide, lost);
    await cluster.stop();

    const plan = await guide.attempt(blocksFor(import.meta.url, 'plan'));
    expect(plan).toMatchObject({ status: 1, stderr: expect.stringContaining(lost) as string });

    await guide.run(blocksFor(import.meta.url, 'end'));
    await waitFor(async () => (await guide.queryAt(5432, 'select 1 where not pg_is_in_recovery()')).length === 1, {
      what: 'the end of recovery',
    });
    expect(await guide.queryAt(5432, 'select max(id) from orders')).toEqual([{ max: 1000 }]);
  });
});

async function removeSegment(guide: Guide, name: string): Promise<void> {
  const wal = join(guide.repository, 'wal');
  const paths = (await readdir(wal, { recursive: true })).filter((path) => path.endsWith(`/${name}.zst`));
  expect(paths).toHaveLength(1);
  await guide.cluster.runOk(['rm', '-f', join(wal, paths[0] ?? '')]);
}
