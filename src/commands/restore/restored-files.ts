import { closeSync, constants, ftruncateSync, unlinkSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { ioError, WalholdError } from '../../base/errors.ts';
import { joinedPath } from '../../repository/chain-files.ts';
import type { PieceFile } from '../../repository/restore-pieces.ts';
import type { TarEntry } from '../../stream/untar.ts';
import { BaseMember } from './base-member.ts';
import { IncrementalMember, openMade } from './incremental-member.ts';
import { UNUSED, WholeFile, type JoinStep, type MemberContent } from './member-content.ts';
import { PathList } from './path-list.ts';
import { attempt, syncPath, TargetPlaces } from './target-places.ts';
import type { BlankFile, TargetLayout } from './thread-protocol.ts';

/**
 * Larger files are brought to disk while others are still written, so that the disk is never idle. Smaller ones wait for the end: each
 * fsync on its own costs a commit of the filesystem's journal, and after the first one the others cost next to nothing.
 */
const EARLY_SYNC_BYTES = 4 * 1024 * 1024;

/**
 * The files that one thread makes. Each is new (nothing is ever overwritten or followed), or was begun by an earlier piece of the same
 * restore, and the bytes of each member are compared with its manifest when it ends. Nothing is on disk before `sync`.
 */
export class RestoredFiles {
  readonly #layout: TargetLayout;
  readonly #places: TargetPlaces;
  readonly #unsynced: PathList = new PathList();
  /** The larger files, one after another. */
  #early: Promise<void> = Promise.resolve();
  #open: MemberContent | undefined;
  /** Files that the piece at hand has made, for `forget`, and those that it has completed. */
  #made: Buffer[] = [];
  #complete: { path: Buffer; bytes: number }[] = [];
  #steps: JoinStep[] = [];

  constructor(layout: TargetLayout) {
    this.#layout = layout;
    this.#places = new TargetPlaces(layout);
  }

  makeDirectory(entry: TarEntry): void {
    this.#places.makeDirectory(entry.path, entry.mode);
  }

  /** Files of zeros in place of those that are not brought. */
  makeBlank(files: readonly BlankFile[], mode: number): void {
    for (const { path, size } of files) {
      const place = this.#places.placeOf(path);
      const fd = this.#places.create(place, mode);
      attempt(place, () => {
        ftruncateSync(fd, size);
        closeSync(fd);
      });
      this.#unsynced.add(place);
    }
  }

  /** Begins a member of which exactly so much is needed as `expected` says. */
  begin(entry: TarEntry, expected: PieceFile): void {
    this.#open = this.#contentOf(entry, expected);
  }

  write(chunk: Uint8Array): void {
    this.#opened().write(chunk);
  }

  /** Throws `damaged` unless the bytes are what the manifest says. */
  end(): void {
    const content = this.#opened();
    // It closes what it has open, whatever comes out.
    this.#open = undefined;
    const step = content.end();
    if (step !== undefined) this.#steps.push(step);
  }

  /** The piece at hand is complete. Answers how far it has brought the files that are joined. */
  keep(): JoinStep[] {
    for (const { path, bytes } of this.#complete) {
      if (bytes < EARLY_SYNC_BYTES) this.#unsynced.add(path);
      else this.#early = this.#early.then(() => syncEarly(path));
    }
    // Reported by sync.
    this.#early.catch(() => undefined);
    const steps = this.#steps;
    this.#begin();
    return steps;
  }

  /** The piece at hand failed: the files that it made a moment ago go away again, so that it can be read from elsewhere. */
  forget(): void {
    this.#open?.close();
    this.#open = undefined;
    for (const path of this.#made) unlinkSync(path);
    this.#begin();
  }

  /** Brings everything to disk: files, then the directories that hold their names. */
  async sync(): Promise<void> {
    await this.#early;
    for (const path of this.#unsynced) syncPath(path);
    this.#unsynced.clear();
    this.#places.sync();
  }

  #begin(): void {
    this.#made = [];
    this.#complete = [];
    this.#steps = [];
  }

  #opened(): MemberContent {
    if (this.#open === undefined) throw new RangeError('no file is open');
    return this.#open;
  }

  #contentOf(entry: TarEntry, expected: PieceFile): MemberContent {
    const { use, size, join } = expected;
    if (use === 'unused' || use === 'blank') return UNUSED;
    const name = joinedPath(entry.path, use);
    const path = this.#places.placeOf(name);
    if (use === 'whole') {
      this.#complete.push({ path, bytes: size });
      return new WholeFile(this.#create(path, entry), path, expected);
    }
    if (typeof name !== 'string') throw new WalholdError('damaged', 'a file whose name is no text is joined');
    const layout = this.#layout.blocks;
    const isMade = join?.taken !== undefined;
    const target = { path, name, layout };
    const openJoined = (): number => (isMade ? openMade(path) : this.#create(path, entry));
    if (use === 'blocks') {
      return new IncrementalMember(expected, { ...target, open: openJoined, openSpool: () => this.#spool(entry) });
    }
    if (join === undefined) throw new WalholdError('damaged', `${name} lies below no incremental file`);
    this.#complete.push({ path, bytes: join.blocks * layout.blockBytes });
    return new BaseMember(expected, join, { ...target, blockBytes: layout.blockBytes, fd: openJoined() });
  }

  #create(path: Buffer, { mode }: TarEntry): number {
    const fd = this.#places.create(path, mode);
    this.#made.push(path);
    return fd;
  }

  /** A file in the target that loses its name at once: whatever happens, nothing stays of it. */
  #spool(entry: TarEntry): number {
    const path = this.#places.placeOf(entry.path);
    const fd = this.#places.create(path, 0o600);
    attempt(path, () => unlinkSync(path));
    return fd;
  }
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
