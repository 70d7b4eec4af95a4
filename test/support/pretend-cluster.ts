import { chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32c } from '@node-rs/crc32';
import type { Account } from '../../scripts/server-user.ts';
import { SYSTEM_ID } from './file-repository.ts';
import { nameOf, segmentBytes } from './made-segments.ts';

export interface PretendOptions {
  systemId?: bigint;
  segmentBytes?: number;
  /** Everything in it becomes this account's. */
  owner?: Account;
}

/**
 * A data directory that no server ever ran in, as far as walhold looks: PG_VERSION, pg_control and pg_wal, for clusters of 1 MiB
 * segments.
 */
export class PretendCluster {
  readonly path: string;
  readonly #owner: Account | undefined;

  private constructor(path: string, owner: Account | undefined) {
    this.path = path;
    this.#owner = owner;
  }

  static async create(path: string, options: PretendOptions = {}): Promise<PretendCluster> {
    const made = new PretendCluster(path, options.owner);
    for (const folder of ['', 'global', 'pg_wal']) await made.#own(await makeFolder(join(path, folder)));
    await made.put('PG_VERSION', '15\n');
    await made.put(
      'global/pg_control',
      controlFile(options.systemId ?? SYSTEM_ID, options.segmentBytes ?? 1024 * 1024),
    );
    return made;
  }

  /** A file below the data directory. */
  async put(name: string, content: string | Uint8Array): Promise<string> {
    const path = join(this.path, name);
    await writeFile(path, content, { mode: 0o600 });
    await this.#own(path);
    return path;
  }

  /** A real segment in pg_wal; returns its path below the data directory, as `%p`. */
  async putSegment(segno: number, timeline = 1): Promise<string> {
    const walPath = `pg_wal/${nameOf(segno, timeline)}`;
    await this.put(walPath, segmentBytes(segno, timeline));
    return walPath;
  }

  /** As if this process were its postmaster. */
  async pretendToRun(pid: number = process.pid, start = 1_700_000_000): Promise<void> {
    await this.put('postmaster.pid', `${pid}\n${this.path}\n${start}\n5432\n`);
  }

  async #own(path: string): Promise<void> {
    if (this.#owner !== undefined) await chown(path, this.#owner.uid, this.#owner.gid);
  }
}

async function makeFolder(path: string): Promise<string> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  return path;
}

/** As PostgreSQL 15 writes it, with nothing in it but what tells one cluster from another. */
export function controlFile(systemId: bigint, segmentBytes: number): Buffer {
  const file = Buffer.alloc(8192);
  file.writeBigUInt64LE(systemId, 0);
  file.writeUInt32LE(1300, 8);
  file.writeUInt32LE(202209061, 12);
  file.writeUInt32LE(6, 16);
  file.writeUInt32LE(8192, 216);
  file.writeUInt32LE(131072, 220);
  file.writeUInt32LE(8192, 224);
  file.writeUInt32LE(segmentBytes, 228);
  file.writeUInt32LE(crc32c(file.subarray(0, 288)), 288);
  return file;
}
