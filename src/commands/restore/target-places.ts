import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fsyncSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  openSync,
  unlinkSync,
} from 'node:fs';
import { ioError, systemCode, WalholdError } from '../../base/errors.ts';
import type { TargetLayout } from './thread-protocol.ts';

/** Nothing that a server owns is for others. */
const FILE_BITS = 0o750;
const DIRECTORY_BITS = 0o750;
/** TABLESPACE_VERSION_DIRECTORY: `PG_15_202209061`. */
const TABLESPACE_CONTENT = /^PG_[0-9]+_[0-9]+(?:\/|$)/;

export type PlacesLayout = Pick<TargetLayout, 'dataDirectory' | 'tablespaces' | 'owner' | 'heldBack' | 'replaces'>;

/** Where the members of a backup lie in the target. Directories are made as they are needed; no link is ever followed. */
export class TargetPlaces {
  readonly #layout: PlacesLayout;
  readonly #root: Buffer;
  /** Known to be there; the same path may be known to other threads. */
  readonly #directories = new Set<string>();

  constructor(layout: PlacesLayout) {
    this.#layout = layout;
    this.#root = Buffer.from(layout.dataDirectory);
    for (const path of [layout.dataDirectory, ...layout.tablespaces.map((one) => one.path)]) {
      this.#directories.add(Buffer.from(path).toString('latin1'));
    }
  }

  makeDirectory(name: string | Uint8Array, recordedMode: number): void {
    const path = this.placeOf(name);
    this.#ensure(path);
    const mode = (recordedMode & DIRECTORY_BITS) | 0o700;
    const { replaces = false, owner } = this.#layout;
    if (replaces && owner !== undefined) attempt(path, () => lchownSync(path, owner.uid, owner.gid));
    if (replaces || mode !== 0o700) attempt(path, () => chmodSync(path, mode));
  }

  /**
   * Makes a file that must not be there yet, or is replaced where that is allowed, with the directories above it. Answers its descriptor,
   * open for reading and writing.
   */
  create(path: Buffer, recordedMode: number): number {
    this.#ensure(parentOf(path));
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const mode = (recordedMode & FILE_BITS) | 0o600;
    return attempt(path, () => {
      const fd = this.#openNew(path, flags, mode);
      const { owner } = this.#layout;
      if (owner !== undefined) fchownSync(fd, owner.uid, owner.gid);
      // Whatever the umask is.
      if (mode !== 0o600) fchmodSync(fd, mode);
      return fd;
    });
  }

  /** Brings the names in all directories to disk. */
  sync(): void {
    for (const directory of this.#directories) syncPath(Buffer.from(directory, 'latin1'));
  }

  /** `name` has been checked: it names something below the data directory. Throws `damaged` for what no tablespace holds. */
  placeOf(name: string | Uint8Array): Buffer {
    const { heldBack, tablespaces } = this.#layout;
    if (name === heldBack.path) return below(this.#root, Buffer.from(heldBack.as));
    if (typeof name !== 'string') return below(this.#root, Buffer.from(name));
    const [, oid, rest] = /^pg_tblspc\/([0-9]+)(?:\/(.*))?$/s.exec(name) ?? [];
    const moved = oid === undefined ? undefined : tablespaces.find((one) => one.oid === oid);
    if (moved === undefined) return below(this.#root, Buffer.from(name));
    if (rest === undefined) return Buffer.from(moved.path);
    // The directory may be any that was empty: nothing but what a server looks for there may come into it.
    if (!TABLESPACE_CONTENT.test(rest)) {
      throw new WalholdError('damaged', `${name} is nothing that a tablespace holds`);
    }
    return below(Buffer.from(moved.path), Buffer.from(rest));
  }

  #openNew(path: Buffer, flags: number, mode: number): number {
    try {
      return openSync(path, flags, mode);
    } catch (error) {
      if (this.#layout.replaces !== true || systemCode(error) !== 'EEXIST') throw error;
      unlinkSync(path);
      return openSync(path, flags, mode);
    }
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

/** Brings a file or a directory to disk. */
export function syncPath(path: Buffer): void {
  attempt(path, () => {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  });
}

/** What the system refuses becomes `io`, with the path. */
export function attempt<T>(path: Buffer, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw ioError(`could not write ${path.toString()}`, error);
  }
}

function below(directory: Buffer, path: Buffer): Buffer {
  return Buffer.concat([directory, Buffer.from('/'), path]);
}

function parentOf(path: Buffer): Buffer {
  return path.subarray(0, path.lastIndexOf(0x2f));
}
