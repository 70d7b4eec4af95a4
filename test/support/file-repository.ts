import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseWalName } from '../../src/postgres/wal-name.ts';
import { formatIdentity } from '../../src/repository/identity.ts';
import { IDENTITY_KEY, walKey } from '../../src/repository/layout.ts';
import { encodeObject } from '../../src/repository/object-codec.ts';
import type { ObjectAbout } from '../../src/repository/object-head.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { fileStore } from '../../src/store/file.ts';

/** The system identifier of repositories made here. */
export const SYSTEM_ID = 7_300_000_000_000_000_001n;

/** A repository in a temporary directory, with its identity; gone when disposed of. */
export class FileRepository implements AsyncDisposable {
  readonly root: string;
  readonly repository: Repository;

  private constructor(root: string, number: number) {
    this.root = root;
    const store = fileStore({ root });
    const retention = { windowMs: undefined, fullBackups: 2 };
    const settings = { scheme: 'file' as const, path: root };
    this.repository = { number, url: store.url, settings, lock: undefined, retention, strangers: [], store };
  }

  static async create(number = 1): Promise<FileRepository> {
    const made = new FileRepository(await mkdtemp(join(tmpdir(), 'walhold-repository-')), number);
    const identity = { format: 1 as const, systemId: SYSTEM_ID, createdAt: '2026-01-01T00:00:00.000Z', by: 'a test' };
    await made.put(IDENTITY_KEY, formatIdentity(identity));
    return made;
  }

  /** Any bytes under any key, without asking anybody. */
  async put(key: string, bytes: Uint8Array | string): Promise<void> {
    const path = join(this.root, key);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, bytes);
  }

  /** A WAL file with this content, described as `about` adds. */
  async putWal(name: string, plain: string | Uint8Array, about: Partial<ObjectAbout> = {}): Promise<string> {
    const { key, bytes } = walObject(name, plain, about);
    await this.put(key, bytes);
    return key;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.root, { recursive: true, force: true });
  }
}

/** A WAL file's object, described as `about` adds. */
export function walObject(
  name: string,
  plain: string | Uint8Array,
  about: Partial<ObjectAbout> = {},
): { key: string; bytes: Buffer } {
  const file = parseWalName(name);
  if (file === undefined || file.kind === 'partial') throw new Error(`${name} is no name for this`);
  const described = { kind: file.kind, name, systemId: String(SYSTEM_ID), ...about };
  return { key: walKey(file), bytes: Buffer.from(encodeObject(Buffer.from(plain), described, 1).bytes) };
}
