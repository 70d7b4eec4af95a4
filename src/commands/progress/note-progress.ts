import { clearBackupProgress, noteBackupProgress, type BackupProgress } from '../../spool/backup-progress.ts';
import type { Spool } from '../../spool/spool.ts';
import type { Clock } from '../../base/clock.ts';
import type { ProgressView } from './progress.ts';

/** Well below what `status` takes for silence. */
const EACH_MS = 5_000;

/** Leaves notes for `status`, as `pg_stat_progress_basebackup` does for queries. Dispose of it: they go. */
export class ProgressNotes implements AsyncDisposable {
  readonly #spool: Spool;
  readonly #clock: Clock;
  readonly #about: Pick<BackupProgress, 'pid' | 'since'>;
  #writing: Promise<void> = Promise.resolve();
  #notedAt = 0;
  #id: string | null = null;

  constructor(spool: Spool, pid: number, clock: Clock) {
    this.#spool = spool;
    this.#clock = clock;
    this.#about = { pid, since: clock.now() };
  }

  set id(id: string) {
    this.#id = id;
  }

  readonly view: ProgressView = ({ phase, bytesDone, bytesTotal, rate, secondsLeft }, moment) => {
    const at = this.#clock.now();
    if (moment === 'tick' && at - this.#notedAt < EACH_MS) return;
    this.#notedAt = at;
    const note = { ...this.#about, id: this.#id, at, phase, bytesDone, bytesTotal, rate, secondsLeft };
    this.#writing = this.#writing.then(() => noteBackupProgress(this.#spool, note));
  };

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing;
    await clearBackupProgress(this.#spool);
  }
}
