import { join } from 'node:path';
import { expect, test } from 'vitest';
import { archivedCluster, walholdOk, type Archived, type ArchivedOptions } from '../support/archived-cluster.ts';
import { recordOf } from '../support/backup-folder.ts';
import { LONG } from '../support/effort.ts';
import { differingFiles } from '../support/relation-files.ts';
import { restoredCopy } from '../support/restored-copy.ts';

/** Blocks in one file of a relation, as PostgreSQL is built. */
const PER_FILE = 131_072;
const QUIET = { autovacuum: false, max_wal_size: '1GB' };
const WAYS: [string, ArchivedOptions][] = [
  ['18 by summaries', { major: 18, settings: { ...QUIET, summarize_wal: true } }],
  ...(LONG ? [['15 by pages', { major: 15, settings: QUIET }] as [string, ArchivedOptions]] : []),
];

test.each(WAYS)(
  'a relation of more than one file comes back from each link of a chain: PostgreSQL %s',
  async (_, options) => {
    await using archived = await archivedCluster({ segmentMb: 16, ...options });
    const { cluster } = archived;
    await cluster.start();
    await cluster.query('create table t (i int, v text) with (fillfactor = 50)');
    await cluster.query(`insert into t select i, 'first' from generate_series(1, 100) i`);
    const path = await cluster.value<string>(`select pg_relation_filepath('t')`);
    await cluster.stop();
    // The blocks between are as a crash leaves them: made, and never written. What is added from now on lies on both sides of the border.
    const size = String((PER_FILE - 3) * 8192);
    await cluster.runOk(['truncate', '-s', size, join(cluster.dataDir, path)]);
    await cluster.start();
    await cluster.query(`insert into t select i, repeat('x', 100) from generate_series(101, 40000) i`);
    expect(await blocksOf(archived)).toBeGreaterThan(PER_FILE + 1100);
    await backedUp(archived, 'full');
    const near = (block: number, item: number): string => `'(${PER_FILE + block},${item})'`;
    const changes = [
      [`update t set v = 'a' where ctid in (${near(-2, 1)}, ${near(0, 2)}, ${near(5, 1)})`],
      // More than a thousand blocks at the end: a vacuum cuts them off, in the second file.
      [
        `delete from t where ctid >= ${near(10, 0)}`,
        'vacuum t',
        `update t set v = 'b' where ctid in (${near(-1, 3)}, ${near(0, 4)})`,
      ],
      [
        `delete from t where ctid >= '(2,0)'`,
        'vacuum t',
        `insert into t select i, 'last' from generate_series(1, 500) i`,
      ],
    ];
    const lengths: number[] = [];
    for (const statements of changes) {
      for (const sql of statements) await cluster.query(sql);
      const id = await backedUp(archived, 'incremental');
      lengths.push(await blocksOf(archived));
      const { badPageCount, parts } = await recordOf(archived, id);
      expect(badPageCount).toBe(0);
      if (statements === changes[0]) {
        // By pages the first file is whole: pages that were never written have no LSN.
        expect(JSON.stringify(parts)).toContain(`"${path.replace(/\d+$/, 'INCREMENTAL.$&.1')}"`);
        continue;
      }
      await using copy = await restoredCopy(archived, id);
      expect(differingFiles(copy.dataDir, cluster.dataDir), statements.join('; ')).toEqual([]);
    }
    expect(lengths).toEqual([expect.any(Number), PER_FILE + 10, expect.any(Number)]);
    expect(lengths[2]).toBeLessThan(100);
  },
);

async function blocksOf({ cluster }: Archived): Promise<number> {
  return Number(await cluster.value<string>(`select pg_relation_size('t') / 8192`));
}

async function backedUp({ cluster, config }: Archived, type: string): Promise<string> {
  // Whoever reads first leaves hints.
  await cluster.query(`select from t where ctid >= '(${PER_FILE - 10},0)'; select from pg_database`);
  const argv = ['backup', '--type', type, '-c', 'fast', '-d', cluster.connectionString];
  const id = (await walholdOk(cluster, config, argv)).stdout.trim();
  await cluster.query('checkpoint');
  return id;
}
