import { join } from 'node:path';
import { expect } from 'vitest';
import { walholdOk, type Archived } from './archived-cluster.ts';
import { recordOf } from './backup-folder.ts';
import { inconsistencies } from './cluster-consistency.ts';
import { clusterContents, type ClusterContents } from './cluster-contents.ts';
import type { Cluster } from './cluster.ts';
import type { CombinedChains } from './combined-chain.ts';
import { happen, type HistoryEvent } from './history-events.ts';
import { recover, restoredCopy } from './restored-copy.ts';
import { operate } from './history-operations.ts';
import type { HistoryWorld } from './history-world.ts';
import { checkAllPages } from './page-check.ts';
import { differingFiles } from './relation-files.ts';

/** How an incremental backup knows what has changed. */
export type ChangeSource = 'page-lsn' | 'wal-summaries';

export interface HistoryOptions {
  archived: Archived;
  world: HistoryWorld;
  changes: ChangeSource;
  /** The words that run pg_checksums; `undefined`: the server lives without. */
  checksums: readonly string[] | undefined;
  /** `undefined`: no tool of PostgreSQL's joins chains of this server. */
  combined: CombinedChains | undefined;
}

/** A server's life in rounds, each of which ends with an incremental backup; what each brings back is compared. */
export class History {
  readonly #options: HistoryOptions;
  /** What has happened since the last backup. */
  #events: HistoryEvent[] = [];
  #checksumsThen = true;
  /** Whether hints are in the WAL, at all times since the full backup. */
  #hintsLogged = true;

  constructor(options: HistoryOptions) {
    this.#options = options;
  }

  async rounds(): Promise<void> {
    const { random } = this.#options.world;
    await this.#settled();
    await this.#backUp('full');
    for (let rounds = random.between(2, 4); rounds > 0; rounds--) {
      await this.#live(random.between(8, 30));
      if (rounds > 1 && random.oneIn(3)) await this.#busyBackup();
      else await this.#quietBackup(rounds === 1);
    }
  }

  async #live(operations: number): Promise<void> {
    const { world, checksums } = this.#options;
    const event = this.#event();
    const at = world.random.below(operations);
    for (let count = 0; count < operations; count++) {
      if (event !== undefined && count === at) {
        await happen(world, event, checksums);
        this.#events.push(event);
      }
      await operate(world);
    }
    if (world.random.oneIn(2)) await this.#turnBackTimes();
  }

  /** By pages every one of them ends the chain, so they are rarer there. */
  #event(): HistoryEvent | undefined {
    const { world, changes, checksums } = this.#options;
    if (!world.random.oneIn(changes === 'page-lsn' ? 4 : 2)) return undefined;
    return world.random.pick<HistoryEvent>([
      'crash',
      'crash',
      'promotion',
      'restart',
      ...(checksums ? ['checksums' as const] : []),
    ]);
  }

  /** No file was written to for a day, as far as its time of modification says. */
  async #turnBackTimes(): Promise<void> {
    const { cluster } = this.#options.world;
    await cluster.query('checkpoint');
    const places = ['base', 'global', 'pg_tblspc'].map((name) => join(cluster.dataDir, name));
    await cluster.run([
      'find',
      '-L',
      ...places,
      '-type',
      'f',
      '-exec',
      'touch',
      '-c',
      '-m',
      '-d',
      '1 day ago',
      '{}',
      '+',
    ]);
    this.#options.world.tell('---- times turned back');
  }

  /** While it is taken, the server goes on: later ones stand on it. */
  async #busyBackup(): Promise<void> {
    const { world } = this.#options;
    const operations = async (): Promise<void> => {
      for (let count = world.random.between(5, 25); count > 0; count--) await operate(world);
    };
    const [id] = await Promise.all([this.#backUp('auto'), operations()]);
    await using copy = await this.#restored(id);
    await this.#combine(copy, id);
  }

  async #quietBackup(isLast: boolean): Promise<void> {
    const { world } = this.#options;
    const { cluster } = world;
    // A server that stops would drop its temporary tables.
    if (isLast) await world.letGo();
    const contents = await this.#settled();
    const id = await this.#backUp('auto');
    await cluster.query('checkpoint');
    await using copy = await this.#restored(id);
    await this.#combine(copy, id);
    // The cold copy: nothing has written since, and the last one is compared with a server that is down.
    if (isLast) await cluster.stop();
    await this.#compare(copy);
    if (!isLast) return;
    await recover(copy);
    await this.#compare(copy);
    await copy.start();
    world.tell('---- recovered');
    expect(await clusterContents(copy)).toEqual(contents);
    expect(await inconsistencies(copy)).toEqual([]);
    world.tell('---- consistent');
  }

  async #restored(id: string): Promise<Cluster> {
    const copy = await restoredCopy(this.#options.archived, id);
    this.#options.world.tell('---- restored');
    return copy;
  }

  async #combine(copy: Cluster, id: string): Promise<void> {
    const { combined, world } = this.#options;
    if (combined === undefined) return;
    expect(await combined.differences(copy.dataDir, id)).toEqual([]);
    world.tell('---- combined');
  }

  async #compare(copy: Cluster): Promise<void> {
    const { world } = this.#options;
    expect(differingFiles(copy.dataDir, world.cluster.dataDir, { hints: this.#hintsLogged })).toEqual([]);
    if (this.#checksumsThen) expect((await checkAllPages(copy)).bad).toEqual([]);
    world.tell('---- compared');
  }

  /** Whoever reads a row first leaves a hint in its page: once everything was read, and written, nothing moves. */
  async #settled(): Promise<ClusterContents> {
    const { cluster } = this.#options.world;
    const contents = await clusterContents(cluster);
    await cluster.query('select from pg_database');
    await cluster.query('checkpoint');
    return contents;
  }

  async #backUp(type: 'full' | 'auto'): Promise<string> {
    const { archived, changes, world } = this.#options;
    const { cluster } = world;
    const argv = ['backup', '--type', type, '-c', 'fast', '-d', cluster.connectionString];
    const isOn = (await cluster.value<string>('show data_checksums')) === 'on';
    const { stdout, stderr } = await walholdOk(cluster, archived.config, argv);
    const id = stdout.trim();
    world.tell(`---- backup ${id}`);
    const { settings, type: taken } = await recordOf(archived, id);
    const why = type === 'full' ? 'full' : this.#whyFull(isOn);
    expect({ taken, changes: settings['changes'] }, stderr).toEqual(
      why === undefined ? { taken: 'incremental', changes } : { taken: 'full', changes: undefined },
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
    const restarted = this.#options.changes === 'page-lsn' && this.#events.length > 0;
    return restarted ? 'the server was restarted after backup' : undefined;
  }
}
