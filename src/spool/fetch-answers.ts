import { readdir, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newAnswers } from './answers.ts';

const COMING = '.coming';

/**
 * The segments that one worker has fetched ahead: whole and verified under their own names, each moved into place by the call that asks
 * for it. Beside them notes of what is on its way, so that calls for it wait.
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
    await writeFile(this.pathOf(name) + COMING, '', { mode: 0o600 });
  }

  /** It is here, or will not be. */
  async settled(name: string): Promise<void> {
    await unlink(this.pathOf(name) + COMING).catch(() => undefined);
  }

  /** The segments that are here. */
  async names(): Promise<Set<string>> {
    return new Set((await readdir(this.path)).filter((name) => /^[0-9A-F]{24}$/.test(name)));
  }

  async drop(name: string): Promise<void> {
    await unlink(this.pathOf(name)).catch(() => undefined);
  }
}
