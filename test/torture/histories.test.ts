import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { debianClient } from '../../scripts/debian-clients.ts';
import { findPostgres } from '../../scripts/find-postgres.ts';
import {
  archivedCluster,
  emptyCluster,
  walholdOk,
  type Archived,
  type ArchivedOptions,
} from '../support/archived-cluster.ts';
import { recordOf } from '../support/backup-folder.ts';
import { inconsistencies } from '../support/cluster-consistency.ts';
import { clusterContents, type ClusterContents } from '../support/cluster-contents.ts';
import type { Cluster } from '../support/cluster.ts';
import { LONG } from '../support/effort.ts';
import { happen, type HistoryEvent } from '../support/history-events.ts';
import { beginHistory, operate } from '../support/history-operations.ts';
import { HistoryWorld } from '../support/history-world.ts';
import { restoreCommand } from '../support/hook.ts';
import { checkAllPages } from '../support/page-check.ts';
import { differingFiles } from '../support/relation-files.ts';
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
  changes: 'page-lsn' | 'wal-summaries';
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
        await using archived = await archivedCluster({ ...options, settings: { ...QUIET, ...options.settings } });
        const { cluster, config } = archived;
        await cluster.configure({ restore_command: await restoreCommand({ config }) });
        await cluster.start();
        const random = new SeededRandom(seed);
        const world = new HistoryWorld(cluster, random);
        const history = new History(archived, world, changes, await programOf(options.major, 'pg_checksums'));
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

class History {
  readonly archived: Archived;
  readonly world: HistoryWorld;
  readonly changes: Way['changes'];
  readonly checksums: readonly string[] | undefined;
  /** What has happened since the last backup. */
  #events: HistoryEvent[] = [];
  #checksumsThen = true;
  /** Whether hints are in the WAL, at all times since the full backup. */
  #hintsLogged = true;

  constructor(
    archived: Archived,
    world: HistoryWorld,
    changes: Way['changes'],
    checksums: readonly string[] | undefined,
  ) {
    this.archived = archived;
    this.world = world;
    this.changes = changes;
    this.checksums = checksums;
  }

  async rounds(): Promise<void> {
    const { random } = this.world;
    await this.#settled();
    await this.#backUp('full');
    for (let rounds = random.between(3, 4); rounds > 0; rounds--) {
      await this.#live(random.between(10, 40));
      if (rounds > 1 && random.oneIn(3)) await this.#busyBackup();
      else await this.#quietBackup(rounds === 1);
    }
  }

  async #live(operations: number): Promise<void> {
    const { random } = this.world;
    const event = this.#event();
    const at = random.below(operations);
    for (let count = 0; count < operations; count++) {
      if (event !== undefined && count === at) {
        await happen(this.world, event, this.checksums);
        this.#events.push(event);
      }
      await operate(this.world);
    }
  }

  /** By pages every one of them ends the chain, so they are rarer there. */
  #event(): HistoryEvent | undefined {
    const { random } = this.world;
    if (!random.oneIn(this.changes === 'page-lsn' ? 4 : 2)) return undefined;
    return random.pick<HistoryEvent>([
      'crash',
      'crash',
      'promotion',
      'restart',
      ...(this.checksums ? ['checksums' as const] : []),
    ]);
  }

  /** While it is taken, the server goes on: later ones stand on it. */
  async #busyBackup(): Promise<void> {
    const { random } = this.world;
    const operations = async (): Promise<void> => {
      for (let count = random.between(5, 25); count > 0; count--) await operate(this.world);
    };
    await Promise.all([this.#backUp('auto'), operations()]);
  }

  async #quietBackup(isLast: boolean): Promise<void> {
    // A server that stops would drop its temporary tables.
    if (isLast) await this.world.letGo();
    const contents = await this.#settled();
    const id = await this.#backUp('auto');
    const { cluster, random } = this.world;
    if (!isLast && !random.oneIn(3)) return;
    await cluster.query('checkpoint');
    await using copy = await this.#restored(id);
    this.world.tell('---- restored');
    const isLogged = { hints: this.#hintsLogged };
    // The cold copy: nothing has written since, and the last one is compared with a server that is down.
    if (isLast) await cluster.stop();
    expect(differingFiles(copy.dataDir, cluster.dataDir, isLogged)).toEqual([]);
    if (this.#checksumsThen) expect((await checkAllPages(copy)).bad).toEqual([]);
    this.world.tell('---- compared');
    if (!isLast) return;
    await recover(copy);
    expect(differingFiles(copy.dataDir, cluster.dataDir, isLogged)).toEqual([]);
    if (this.#checksumsThen) expect((await checkAllPages(copy)).bad).toEqual([]);
    await copy.start();
    this.world.tell('---- recovered');
    expect(await clusterContents(copy)).toEqual(contents);
    expect(await inconsistencies(copy)).toEqual([]);
    this.world.tell('---- consistent');
  }

  /** Whoever reads a row first leaves a hint in its page: once everything was read, and written, nothing moves. */
  async #settled(): Promise<ClusterContents> {
    const { cluster } = this.world;
    const contents = await clusterContents(cluster);
    await cluster.query('select from pg_database');
    await cluster.query('checkpoint');
    return contents;
  }

  async #backUp(type: 'full' | 'auto'): Promise<string> {
    const { cluster } = this.world;
    const argv = ['backup', '--type', type, '-c', 'fast', '-d', cluster.connectionString];
    const isOn = (await cluster.value<string>('show data_checksums')) === 'on';
    const { stdout, stderr } = await walholdOk(cluster, this.archived.config, argv);
    const id = stdout.trim();
    this.world.tell(`---- backup ${id}`);
    const { settings, type: taken } = await recordOf(this.archived, id);
    const why = type === 'full' ? 'full' : this.#whyFull(isOn);
    expect({ taken, changes: settings['changes'] }, stderr).toEqual(
      why === undefined ? { taken: 'incremental', changes: this.changes } : { taken: 'full', changes: undefined },
    );
    if (type === 'auto' && why !== undefined) expect(stderr).toContain(why);
    const hints = isOn || (await cluster.value<string>('show wal_log_hints')) === 'on';
    this.#hintsLogged = hints && (why !== undefined || (this.#hintsLogged && !this.#events.includes('checksums')));
    this.#checksumsThen = isOn;
    this.#events = [];
    return id;
  }

  /** What must have kept it from being an incremental one. */
  #whyFull(isOn: boolean): string | undefined {
    if (isOn !== this.#checksumsThen) return `data checksums were turned ${isOn ? 'on' : 'off'} after backup`;
    return this.changes === 'page-lsn' && this.#events.length > 0 ? 'the server was restarted after backup' : undefined;
  }

  /** As the repository gives it, before anything is replayed. */
  async #restored(id: string): Promise<Cluster> {
    const { cluster } = this.world;
    const copy = await emptyCluster(cluster, 'copy');
    try {
      const { tablespaces } = await recordOf(this.archived, id);
      const spaces = tablespaces.flatMap(({ oid, path }) => ['-T', `${path}=${join(copy.place.path, oid)}`]);
      const to = ['--backup', id, '--target-immediate', '--target-action', 'promote'];
      await walholdOk(cluster, this.archived.config, ['restore', '-D', copy.dataDir, ...to, ...spaces]);
      await copy.configure({ archive_mode: 'off' });
      return copy;
    } catch (error) {
      await copy[Symbol.asyncDispose]();
      throw error;
    }
  }
}

/** To the end of its backup, and nobody connects meanwhile. */
async function recover(copy: Cluster): Promise<void> {
  await copy.start({ until: 'nothing' });
  await copy.waitForLog(/database system is ready to accept connections/);
  await copy.stop();
}

/** npm's servers come without; where no archive of packages has it, the server lives without what it does. */
async function programOf(major: number, name: string): Promise<string[] | undefined> {
  const local = join((await findPostgres(major)).bin, name);
  return existsSync(local) ? [local] : await debianClient(major, name);
}
