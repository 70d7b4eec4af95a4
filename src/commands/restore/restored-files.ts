import { createHash, type Hash } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fsyncSync,
  lstatSync,
  lchownSync,
  mkdirSync,
  openSync,
  unlinkSync,
  writeSync,
  chmodSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { ioError, systemCode, WalholdError } from '../../base/errors.ts';
import type { PieceFile } from '../../repository/restore-pieces.ts';
import type { TarEntry } from '../../stream/untar.ts';
import type { TargetLayout } from './thread-protocol.ts';

/**
 * Larger files are brought to disk while others are still written, so that the disk is never idle. Smaller ones wait for the end: each
 * fsync on its own costs a commit of the filesystem's journal, and after the first one the others cost next to nothing.
 */
const EARLY_SYNC_BYTES = 4 * 1024 * 1024;

/** Nothing that a server owns is for others. */
const FILE_BITS = 0o750;
const DIRECTORY_BITS = 0o750;
/** TABLESPACE_VERSION_DIRECTORY: `PG_15_202209061`. */
const TABLESPACE_CONTENT = /^PG_[0-9]+_[0-9]+(?:\/|$)/;

/**
 * The files that one thread makes. Each is new (nothing is ever overwritten or followed), and its bytes are compared with the
 * manifest when it is closed. Nothing is on disk before `sync`.
 */
export class RestoredFiles {
  readonly #layout: TargetLayout;
  readonly #root: Buffer;
  /** Known to be there; the same path may be known to other threads. */
  readonly #directories = new Set<string>();
  readonly #unsynced: Buffer[] = [];
  /** The larger files, one after another. */
  #early: Promise<void> = Promise.resolve();
  #open: OpenFile | undefined;
  /** Files of the piece at hand, for `forget`. */
  #made: { path: Buffer; bytes: number }[] = [];

  constructor(layout: TargetLayout) {
    this.#layout = layout;
    this.#root = Buffer.from(layout.dataDirectory);
    for (const path of [layout.dataDirectory, ...layout.tablespaces.map((one) => one.path)]) {
      this.#directories.add(Buffer.from(path).toString('latin1'));
    }
  }

  makeDirectory(entry: TarEntry): void {
    const path = this.#place(entry.path);
    this.#ensure(path);
    const mode = (entry.mode & DIRECTORY_BITS) | 0o700;
    if (mode !== 0o700) attempt(path, () => chmodSync(path, mode));
  }

  /** Opens a new file for exactly what `expected` says. */
  begin(entry: TarEntry, expected: PieceFile): void {
    const path = this.#place(entry.path);
    this.#ensure(parentOf(path));
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const mode = (entry.mode & FILE_BITS) | 0o600;
    attempt(path, () => {
      const fd = openSync(path, flags, mode);
      this.#made.push({ path, bytes: expected.size });
      this.#open = { fd, path, expected, hash: createHash('sha256'), bytes: 0 };
      const { owner } = this.#layout;
      if (owner !== undefined) fchownSync(fd, owner.uid, owner.gid);
      // Whatever the umask is.
      if (mode !== 0o600) fchmodSync(fd, mode);
    });
  }

  write(chunk: Uint8Array): void {
    const file = this.#open;
    if (file === undefined) throw new RangeError('no file is open');
    file.hash.update(chunk);
    file.bytes += chunk.length;
    attempt(file.path, () => {
      for (let at = 0; at < chunk.length;) at += writeSync(file.fd, chunk, at);
    });
  }

  /** Throws `damaged` unless the bytes are what the manifest says. */
  end(): void {
    const file = this.#open;
    if (file === undefined) throw new RangeError('no file is open');
    this.#open = undefined;
    attempt(file.path, () => closeSync(file.fd));
    const found = file.hash.digest('hex');
    if (file.bytes === file.expected.size && found === file.expected.sha256) return;
    throw new WalholdError('damaged', `${shown(file.expected.path)} is not what was backed up`, {
      detail: `it has ${file.bytes} bytes and the SHA-256 ${found}; the manifest says ${file.expected.size} and ${file.expected.sha256}`,
    });
  }

  /** The piece at hand is complete. */
  keep(): void {
    for (const { path, bytes } of this.#made) {
      if (bytes < EARLY_SYNC_BYTES) this.#unsynced.push(path);
      else this.#early = this.#early.then(() => syncEarly(path));
    }
    // Reported by sync.
    this.#early.catch(() => undefined);
    this.#made = [];
  }

  /** The piece at hand failed: its files, all made here a moment ago, go away again, so that it can be read from elsewhere. */
  forget(): void {
    if (this.#open !== undefined) closeSync(this.#open.fd);
    this.#open = undefined;
    for (const { path } of this.#made) unlinkSync(path);
    this.#made = [];
  }

  /** Brings everything to disk: files, then the directories that hold their names. */
  async sync(): Promise<void> {
    await this.#early;
    for (const path of this.#unsynced) syncPath(path);
    this.#unsynced.length = 0;
    for (const directory of this.#directories) syncPath(Buffer.from(directory, 'latin1'));
  }

  /** The path has been checked: it names something below the data directory. */
  #place(path: string | Uint8Array): Buffer {
    const { heldBack, tablespaces } = this.#layout;
    if (path === heldBack.path) return below(this.#root, Buffer.from(heldBack.as));
    if (typeof path !== 'string') return below(this.#root, Buffer.from(path));
    const [, oid, rest] = /^pg_tblspc\/([0-9]+)(?:\/(.*))?$/s.exec(path) ?? [];
    const moved = oid === undefined ? undefined : tablespaces.find((one) => one.oid === oid);
    if (moved === undefined) return below(this.#root, Buffer.from(path));
    if (rest === undefined) return Buffer.from(moved.path);
    // The directory may be any that was empty: nothing but what a server looks for there may come into it.
    if (!TABLESPACE_CONTENT.test(rest)) {
      throw new WalholdError('damaged', `${path} is nothing that a tablespace holds`);
    }
    return below(Buffer.from(moved.path), Buffer.from(rest));
  }

  #ensure(path: Buffer): void {
    const key = path.toString('latin1');
    if (this.#directories.has(key)) return;
    this.#ensure(parentOf(path));
    attempt(path, () => {
      try {
        mkdirSync(path, 0o700);
        const { owner } = this.#layout;
        if (owner !== undefined) lchownSync(path, owner.uid, owner.gid);
      } catch (error) {
        // Another thread may have made it; but nothing may lead out of the target.
        if (systemCode(error) !== 'EEXIST' || !lstatSync(path).isDirectory()) throw error;
      }
    });
    this.#directories.add(key);
  }
}

interface OpenFile {
  fd: number;
  path: Buffer;
  expected: PieceFile;
  hash: Hash;
  bytes: number;
}

function below(directory: Buffer, path: Buffer): Buffer {
  return Buffer.concat([directory, Buffer.from('/'), path]);
}

function parentOf(path: Buffer): Buffer {
  return path.subarray(0, path.lastIndexOf(0x2f));
}

function syncPath(path: Buffer): void {
  attempt(path, () => {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  });
}

async function syncEarly(path: Buffer): Promise<void> {
  try {
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw ioError(`could not write ${path.toString()}`, error);
  }
}

function attempt(path: Buffer, work: () => void): void {
  try {
    work();
  } catch (error) {
    throw ioError(`could not write ${path.toString()}`, error);
  }
}

function shown(path: string | Uint8Array): string {
  return typeof path === 'string' ? path : Buffer.from(path).toString('latin1');
}
