import { expect } from 'vitest';
import { walholdOk, type Archived } from './archived-cluster.ts';
import { recordOf } from './backup-folder.ts';
import type { HistoryEvent } from './history-events.ts';
import type { HistoryWorld } from './history-world.ts';

/** How an incremental backup knows what has changed. */
export type ChangeSource = 'page-lsn' | 'wal-summaries';

/** The backups of a history: each must be of the type that what has happened since the last one allows. */
export class HistoryBackups {
  readonly #archived: Archived;
  readonly #world: HistoryWorld;
  readonly #changes: ChangeSource;
  /** What has happened since the last backup. */
  #events: HistoryEvent[] = [];
  #withChecksums = true;
  #hintsLogged = true;

  constructor({ archived, world, changes }: { archived: Archived; world: HistoryWorld; changes: ChangeSource }) {
    this.#archived = archived;
    this.#world = world;
    this.#changes = changes;
  }

  /** Whether checksums were on when the last one was taken. */
  get withChecksums(): boolean {
    return this.#withChecksums;
  }

  /** Whether hints are in the WAL, at all times since the full backup. */
  get hintsLogged(): boolean {
    return this.#hintsLogged;
  }

  happened(event: HistoryEvent): void {
    this.#events.push(event);
  }

  /** Its identifier. */
  async take(type: 'full' | 'auto'): Promise<string> {
    const { cluster } = this.#world;
    const argv = ['backup', '--type', type, '-c', 'fast', '-d', cluster.connectionString];
    const isOn = (await cluster.value<string>('show data_checksums')) === 'on';
    const hints = isOn || (await cluster.value<string>('show wal_log_hints')) === 'on';
    const { stdout, stderr } = await walholdOk(cluster, this.#archived.config, argv);
    const id = stdout.trim();
    this.#world.tell(`---- backup ${id}`);
    const { settings, type: taken } = await recordOf(this.#archived, id);
    const why = type === 'full' ? 'full' : this.#whyFull(isOn, hints);
    expect({ taken, changes: settings['changes'] }, stderr).toEqual(
      why === undefined ? { taken: 'incremental', changes: this.#changes } : { taken: 'full', changes: undefined },
    );
    if (type === 'auto' && why !== undefined) expect(stderr).toContain(why);
    this.#hintsLogged = hints && (why !== undefined || (this.#hintsLogged && !this.#events.includes('checksums')));
    this.#withChecksums = isOn;
    this.#events = [];
    return id;
  }

  /** What must have kept it from being an incremental one. */
  #whyFull(isOn: boolean, hints: boolean): string | undefined {
    if (isOn !== this.#withChecksums) return `data checksums were turned ${isOn ? 'on' : 'off'} after backup`;
    if (this.#changes === 'page-lsn' && !hints) return 'neither data_checksums nor wal_log_hints is on';
    const restarted = this.#changes === 'page-lsn' && this.#events.length > 0;
    return restarted ? 'the server was restarted after backup' : undefined;
  }
}
