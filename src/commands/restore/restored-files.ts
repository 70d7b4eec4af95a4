import { closeSync, constants, fdatasync, fsync, ftruncateSync, openSync, unlinkSync } from 'node:fs';
import { promisify } from 'node:util';
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
/** The disk begins with so much of a file, while the rest of it is still to come. */
const FLUSH_BYTES = 32 * 1024 * 1024;

/**
 * The files that one thread makes. Each is new (nothing is ever overwritten or followed), or was begun by an earlier piece of the same
 * restore, and the bytes of each member are compared with its manifest when it ends. Nothing is on disk before `sync`.
 */
export class RestoredFiles {
  readonly #layout: TargetLayout;
  readonly #places: TargetPlaces;
  readonly #unsynced: PathList = new PathList();
  /** The larger files, one after another. */
  #early: Promise<unknown> = Promise.resolve();
  /** How many of them are on their way: more than one at a time would keep others from reading. */
  #earlyCount = 0;
  #open: MemberContent | undefined;
  /** Where what comes is written to, and how much of it is not on its way to the disk. */
  #writing: { path: Buffer; bytes: number } | undefined;
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
    if (this.#writing === undefined) return;
    this.#writing.bytes += chunk.length;
    if (this.#writing.bytes < FLUSH_BYTES || this.#earlyCount > 0) return;
    this.#writing.bytes = 0;
    this.#bring(toDisk(this.#writing.path, fdatasync));
  }

  /** Throws `damaged` unless the bytes are what the manifest says. */
  end(): void {
    const content = this.#opened();
    // It closes what it has open, whatever comes out.
    this.#open = undefined;
    this.#writing = undefined;
    const step = content.end();
    if (step !== undefined) this.#steps.push(step);
  }

  /** The piece at hand is complete. Answers how far it has brought the files that are joined. */
  keep(): JoinStep[] {
    for (const { path, bytes } of this.#complete) {
      if (bytes < EARLY_SYNC_BYTES) this.#unsynced.add(path);
      else this.#bring(this.#early.then(() => toDisk(path, fsync)));
    }
    const steps = this.#steps;
    this.#begin();
    return steps;
  }

  /** The piece at hand failed: the files that it made a moment ago go away again, so that it can be read from elsewhere. */
  forget(): void {
    this.#open?.close();
    this.#open = undefined;
    this.#writing = undefined;
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

  #bring(work: Promise<void>): void {
    this.#earlyCount += 1;
    this.#early = Promise.all([this.#early, work.finally(() => (this.#earlyCount -= 1))]);
    // Reported by sync.
    this.#early.catch(() => undefined);
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
      this.#writing = { path, bytes: 0 };
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

/** Begins at once. */
async function toDisk(path: Buffer, sync: typeof fsync): Promise<void> {
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      await promisify(sync)(fd);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw ioError(`could not write ${path.toString()}`, error);
  }
}
