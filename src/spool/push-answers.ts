import { rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bracketTime, readState, sameState, type FileState } from './file-state.ts';
import { newAnswers } from './answers.ts';

const BEFORE = '.before';
const FAILED = '.failed';

/**
 * The answers of one worker: a file for each WAL file that every repository holds. One answer is used once: the launcher empties it
 * before it says so. Beside it lies what brackets the time of the WAL file that was stored (see `bracketTime`).
 */
export class PushAnswers {
  /** Absolute. */
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async create(spool: string, owner: string): Promise<PushAnswers> {
    return new PushAnswers(await newAnswers(spool, 'push', owner));
  }

  /**
   * Says that every repository holds the file that was in this state when it was read. `false`: it is no longer, or this filesystem
   * cannot tell; then the next call looks for itself.
   */
  async stored(name: string, walPath: string, state: FileState): Promise<boolean> {
    const answer = join(this.path, name);
    const after = `${answer}.new`;
    const fine = await bracketTime(state, { before: answer + BEFORE, after, text: 'stored\n' });
    if (!fine || !sameState(await readState(walPath), state)) {
      await unlink(after);
      return false;
    }
    await rename(after, answer);
    await this.#remove(name + FAILED);
    return true;
  }

  /** Has calls look for themselves instead of waiting. */
  async failed(name: string): Promise<void> {
    await writeFile(join(this.path, name + FAILED), '', { mode: 0o600 });
  }

  /** Nobody will ask for it again. */
  async forget(name: string): Promise<void> {
    for (const suffix of ['', BEFORE, FAILED]) await this.#remove(name + suffix);
  }

  async #remove(name: string): Promise<void> {
    await unlink(join(this.path, name)).catch(() => undefined);
  }
}
