import { expect } from 'vitest';
import type { Archived } from './archived-cluster.ts';
import { inconsistencies } from './cluster-consistency.ts';
import { clusterContents, type ClusterContents } from './cluster-contents.ts';
import type { Cluster } from './cluster.ts';
import type { CombinedChains } from './combined-chain.ts';
import { HistoryBackups, type ChangeSource } from './history-backups.ts';
import { happen, type HistoryEvent } from './history-events.ts';
import { operate } from './history-operations.ts';
import type { HistoryWorld } from './history-world.ts';
import { checkAllPages } from './page-check.ts';
import { differingFiles } from './relation-files.ts';
import { recover, restoredCopy } from './restored-copy.ts';

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
  readonly #backups: HistoryBackups;

  constructor(options: HistoryOptions) {
    this.#options = options;
    this.#backups = new HistoryBackups(options);
  }

  async rounds(): Promise<void> {
    const { random } = this.#options.world;
    await this.#settled();
    await this.#backups.take('full');
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
        this.#backups.happened(event);
      }
      await operate(world);
    }
    if (!world.random.oneIn(3)) await this.#turnBackTimes();
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
    const touch = `find -L "$1/base" "$1/global" "$1/pg_tblspc" -type f -exec touch -c -m -d '1 day ago' {} +`;
    await cluster.runOk(['sh', '-c', touch, 'sh', cluster.dataDir]);
    this.#options.world.tell('---- times turned back');
  }

  /** While it is taken, the server goes on: later ones stand on it. */
  async #busyBackup(): Promise<void> {
    const { world } = this.#options;
    const operations = async (): Promise<void> => {
      for (let count = world.random.between(5, 25); count > 0; count--) await operate(world);
    };
    const [id] = await Promise.all([this.#backups.take('auto'), operations()]);
    await using copy = await this.#restored(id);
    await this.#combine(copy, id);
  }

  async #quietBackup(isLast: boolean): Promise<void> {
    const { world } = this.#options;
    const { cluster } = world;
    // A server that stops would drop its temporary tables.
    if (isLast) await world.letGo();
    const contents = await this.#settled();
    const id = await this.#backups.take('auto');
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
    expect(differingFiles(copy.dataDir, world.cluster.dataDir, { hints: this.#backups.hintsLogged })).toEqual([]);
    if (this.#backups.withChecksums) expect((await checkAllPages(copy)).bad).toEqual([]);
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
}
