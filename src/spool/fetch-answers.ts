import { readdir, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newAnswers } from './answers.ts';

const COMING = '.coming';
const TAKEN = '.taken';

/**
 * The segments that one worker has fetched ahead: whole and verified under their own names. A call that asks for one first notes that it
 * is taken, then links it into place, since `ln` starts in half the time of `mv`; from the note on nobody is given it, for the server may
 * write to the file one day. Beside them notes of what is on its way, so that calls for it wait.
 */
export class FetchAnswers {
  /** Absolute. */
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** See `newAnswers`. */
  static async create(spool: string, owner: string): Promise<FetchAnswers> {
    return new FetchAnswers(await newAnswers(spool, 'fetch', owner));
  }

  pathOf(name: string): string {
    return join(this.path, name);
  }

  async coming(name: string): Promise<void> {
    await this.drop(name);
    await writeFile(this.pathOf(name) + COMING, '', { mode: 0o600 });
  }

  /** It is here, or will not be. */
  async settled(name: string): Promise<void> {
    await unlink(this.pathOf(name) + COMING).catch(() => undefined);
  }

  /** The segments that are here for whoever asks, and those that a call has taken or is about to, whose second name may still be here. */
  async names(): Promise<{ here: Set<string>; taken: Set<string> }> {
    const all = await readdir(this.path);
    const taken = new Set(all.filter((name) => name.endsWith(TAKEN)).map((name) => name.slice(0, -TAKEN.length)));
    const here = new Set(all.filter((name) => /^[0-9A-F]{24}$/.test(name) && !taken.has(name)));
    return { here, taken };
  }

  /** The note goes last: without it the segment would be given again. */
  async drop(name: string): Promise<void> {
    await unlink(this.pathOf(name)).catch(() => undefined);
    await unlink(this.pathOf(name) + TAKEN).catch(() => undefined);
  }
}
