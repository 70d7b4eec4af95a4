import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'vitest';
import { debianClient } from '../../scripts/debian-clients.ts';
import { findPostgres } from '../../scripts/find-postgres.ts';
import { archivedCluster, type ArchivedOptions } from '../support/archived-cluster.ts';
import { CombinedChains, combiningTools } from '../support/combined-chain.ts';
import { LONG } from '../support/effort.ts';
import { History } from '../support/history.ts';
import type { ChangeSource } from '../support/history-backups.ts';
import { beginHistory } from '../support/history-operations.ts';
import { HistoryWorld } from '../support/history-world.ts';
import { restoreCommand } from '../support/hook.ts';
import { SeededRandom } from '../support/seeded-random.ts';

const SEED = Number(process.env['WALHOLD_TEST_SEED'] ?? 20261128);
const SEEDS = Array.from({ length: LONG ? 25 : 1 }, (_, index) => SEED + index);
/** The test decides when a page is written, and what else happens. */
const QUIET = {
  autovacuum: false,
  checkpoint_timeout: '1h',
  max_wal_size: '1GB',
  lock_timeout: '300ms',
  max_prepared_transactions: 2,
};

interface Way extends ArchivedOptions {
  major: number;
  changes: ChangeSource;
  /** Without `WALHOLD_TEST_LONG` too. */
  always?: boolean;
}

const SUMMARIES = { summarize_wal: true };
const WAYS: [string, Way][] = [
  ['13 by pages', { major: 13, changes: 'page-lsn' }],
  ['15 by pages', { major: 15, changes: 'page-lsn', always: true }],
  [
    '15 by pages, without checksums but with hints in the WAL',
    { major: 15, changes: 'page-lsn', checksums: false, settings: { wal_log_hints: true } },
  ],
  ['17 by pages', { major: 17, changes: 'page-lsn' }],
  ['18 by pages', { major: 18, changes: 'page-lsn' }],
  ['17 by summaries', { major: 17, changes: 'wal-summaries', settings: SUMMARIES }],
  [
    '17 by summaries, without checksums',
    { major: 17, changes: 'wal-summaries', settings: SUMMARIES, checksums: false },
  ],
  ['18 by summaries', { major: 18, changes: 'wal-summaries', settings: SUMMARIES, always: true }],
  [
    '18 by summaries, without checksums',
    { major: 18, changes: 'wal-summaries', settings: SUMMARIES, checksums: false },
  ],
];

/*
 * What may differ in a page, and nothing else: the cache in the first page of an SP-GiST index, which no server logs; hints, where they
 * are not in the WAL (neither checksums nor wal_log_hints, or checksums that were off meanwhile). Unlogged and temporary relations are
 * not brought back.
 */
describe.each(WAYS.filter(([, { always }]) => LONG || always === true))(
  'a history of PostgreSQL %s',
  (_, { changes, always: _always, ...options }) => {
    test.each(SEEDS)(
      'with seed %i comes back as it was, page for page, from each of its incremental backups',
      async (seed) => {
        await using archived = await archivedCluster({
          segmentMb: 16,
          walhold: { jobs: seed % 4 === 0 ? 2 : 1, push_ahead: 0, fetch_ahead: 0 },
          ...options,
          settings: { ...QUIET, ...options.settings },
        });
        const { cluster, config } = archived;
        await cluster.configure({ restore_command: await restoreCommand({ config }) });
        await cluster.start();
        const random = new SeededRandom(seed);
        const world = new HistoryWorld(cluster, random);
        const tools = await combiningTools(cluster.postgres);
        const history = new History({
          archived,
          world,
          changes,
          checksums: await programOf(options.major, 'pg_checksums'),
          combined: tools === undefined ? undefined : new CombinedChains(archived, tools),
        });
        try {
          await beginHistory(world, await programOf(options.major, 'pg_resetwal'));
          await history.rounds();
        } catch (error) {
          process.stderr.write(`seed ${seed}:\n${world.told.join('\n')}\n`);
          throw error;
        }
      },
    );
  },
);

/** npm's servers come without; where no archive of packages has it, the server lives without what it does. */
async function programOf(major: number, name: string): Promise<string[] | undefined> {
  const local = join((await findPostgres(major)).bin, name);
  return existsSync(local) ? [local] : await debianClient(major, name);
}
