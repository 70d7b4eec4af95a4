import { describe, expect, test } from 'vitest';
import { findPostgres } from '../../scripts/find-postgres.ts';
import { archiveEverything } from '../support/archiving.ts';
import { blocksFor } from '../support/document-blocks.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { Guide } from '../support/guide.ts';
import { waitFor } from '../support/wait-for.ts';

const { hasClients } = await findPostgres();

describe.skipIf(!hasClients)('RECOVERY.md on a lost repository', () => {
  test('restores from the second one, to the end of the log', async () => {
    const second = (first: string): string => first.replace(/main$/, 'second');
    await using guide = await Guide.start({ name: 'two-repositories' }, (first) => ({
      repo2: `file://${second(first)}`,
    }));
    const { cluster, repository } = guide;
    await cluster.query('create table orders as select generate_series(1, 5000) as id');
    await guide.backUp();
    await cluster.query('insert into orders select generate_series(5001, 6000)');
    await archiveEverything(cluster);
    const archived = await fingerprint(cluster);
    await cluster.kill9();
    await cluster.runOk(['sh', '-c', 'chmod -R u+w "$2"; rm -r "$1" "$2"', 'sh', cluster.dataDir, repository]);

    await guide.run(blocksFor(import.meta.url));
    await waitFor(async () => (await guide.queryAt(5432, 'select 1 where not pg_is_in_recovery()')).length === 1, {
      what: 'the end of recovery',
    });
    expect(await fingerprint(cluster)).toEqual(archived);
  });
});
