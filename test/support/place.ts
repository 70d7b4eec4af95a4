import { rmSync } from 'node:fs';
import { chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { serverUser, type Account } from '../../scripts/server-user.ts';

/** Below this length the path of a socket in a place stays under the kernel's 107 bytes. */
const LONGEST_TMPDIR = 60;

/**
 * A folder for one test's files that belongs to the account PostgreSQL runs under, or to the current user. It goes with
 * this process at the latest.
 */
export class Place implements AsyncDisposable {
  readonly path: string;
  readonly owner: Account;
  readonly #removeNow: () => void;

  private constructor(path: string, owner: Account) {
    this.path = path;
    this.owner = owner;
    this.#removeNow = (): void => rmSync(path, { recursive: true, force: true });
    process.once('exit', this.#removeNow);
  }

  static async create(name: string, of: 'server user' | 'current user' = 'server user'): Promise<Place> {
    const { username, uid, gid } = userInfo();
    const owner = of === 'server user' ? serverUser() : { name: username, uid, gid };
    const parent = tmpdir().length > LONGEST_TMPDIR ? '/tmp' : tmpdir();
    const path = await mkdtemp(join(parent, `walhold-${name}-`));
    await chown(path, owner.uid, owner.gid);
    return new Place(path, owner);
  }

  /** A new folder in it, 0700, the owner's. */
  async folder(name: string): Promise<string> {
    const path = join(this.path, name);
    await mkdir(path, { mode: 0o700 });
    await chown(path, this.owner.uid, this.owner.gid);
    return path;
  }

  /** A file in it, 0600, the owner's. */
  async file(name: string, content: string | Uint8Array): Promise<string> {
    const path = join(this.path, name);
    await writeFile(path, content, { mode: 0o600 });
    await chown(path, this.owner.uid, this.owner.gid);
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    process.removeListener('exit', this.#removeNow);
    await rm(this.path, { recursive: true, force: true, maxRetries: 5 });
  }
}
