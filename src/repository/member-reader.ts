import { createHash, type Hash } from 'node:crypto';
import { WalholdError } from '../base/errors.ts';
import { TAR_BLOCK_BYTES, tarPadding } from '../stream/tar-header.ts';
import { Untar, type TarEntry } from '../stream/untar.ts';
import { MemberPages, type MemberBlocks, type PageForm } from './member-pages.ts';

/** A member of a part, as its bytes say. */
export type ReadMember =
  | { kind: 'directory'; path: string | Buffer }
  | {
      kind: 'file';
      path: string | Buffer;
      size: number;
      /** Where its content begins in the frame's plain bytes. */
      at: number;
      sha256: string;
      /** Seconds since 1970. */
      modifiedAt: number;
      /** Pages with wrong checksums, as block numbers of the relation's fork. */
      badBlocks: readonly number[];
      /** Of a relation's main fork. */
      blocks: MemberBlocks | undefined;
    };

/** More than any part of ours holds: each member has a block of its own in 1 GiB and the file that goes beyond. */
const MOST_MEMBERS = 4_000_000;

/** The members of a part from its plain bytes, frame by frame. */
export class MemberReader {
  readonly #untar: Untar;
  readonly #pages: PageForm | undefined;
  /** Of the frame at hand: its plain bytes so far, and its members. */
  #at = 0;
  #members: ReadMember[] = [];
  #count = 0;
  /** Content and padding of the member at hand that are still to come. */
  #left = 0;
  #file: OpenFile | undefined;

  constructor(pages: PageForm | undefined) {
    this.#pages = pages;
    this.#untar = new Untar({
      begin: (entry) => this.#begin(entry),
      data: (chunk) => this.#file?.write(chunk),
      end: () => this.#end(),
    });
  }

  /** The chunk is free again on return. Headers are handed on one by one: the block in which a member begins ends where its content starts. */
  write(plain: Uint8Array): void {
    for (let from = 0; from < plain.length;) {
      const most = this.#left > 0 ? this.#left : TAR_BLOCK_BYTES - (this.#at % TAR_BLOCK_BYTES);
      const piece = plain.subarray(from, from + most);
      this.#left = Math.max(0, this.#left - piece.length);
      this.#at += piece.length;
      from += piece.length;
      this.#untar.write(piece);
    }
  }

  /** Frames hold whole members: so that each file can be read by its frame alone. */
  endFrame(): { plainBytes: number; members: ReadMember[] } {
    this.#untar.end(false);
    const frame = { plainBytes: this.#at, members: this.#members };
    this.#at = 0;
    this.#members = [];
    return frame;
  }

  end(): void {
    this.#untar.end(true);
  }

  #begin(entry: TarEntry): void {
    this.#count += 1;
    if (this.#count > MOST_MEMBERS)
      throw new WalholdError('damaged', `an archive has more than ${MOST_MEMBERS} members`);
    this.#left = entry.size + tarPadding(entry.size);
    if (entry.kind === 'directory') this.#members.push({ kind: 'directory', path: entry.path });
    else this.#file = new OpenFile(entry, this.#at, this.#pages);
  }

  #end(): void {
    if (this.#file !== undefined) this.#members.push(this.#file.end());
    this.#file = undefined;
  }
}

class OpenFile {
  readonly #entry: TarEntry;
  readonly #at: number;
  readonly #hash: Hash = createHash('sha256');
  readonly #pages: MemberPages | undefined;

  constructor(entry: TarEntry, at: number, pages: PageForm | undefined) {
    this.#entry = entry;
    this.#at = at;
    this.#pages = pages === undefined ? undefined : MemberPages.of(entry, pages);
  }

  write(chunk: Uint8Array): void {
    this.#hash.update(chunk);
    this.#pages?.write(chunk);
  }

  end(): ReadMember {
    const { path, size, modifiedAt } = this.#entry;
    const sha256 = this.#hash.digest('hex');
    const { badBlocks, blocks } = this.#pages?.end() ?? { badBlocks: [], blocks: undefined };
    return { kind: 'file', path, size, at: this.#at, sha256, modifiedAt, badBlocks, blocks };
  }
}
