/** The pages in one member of a part that is a relation's file, or holds the changed blocks of one: how many, and which are damaged. */
import { WalholdError } from '../base/errors.ts';
import { parseIncrementalHeader, plainPath } from '../postgres/incremental-file.ts';
import { checkPages } from '../postgres/page-checksum.ts';
import { firstBlock, relationFile, type RelationFile } from '../postgres/relation-file.ts';

export interface PageForm {
  pageBytes: number;
  blocksPerFile: number;
  /** Whether pages carry them. */
  checksums: boolean;
}

export interface MemberBlocks {
  /** All that the file has. */
  all: number;
  /** Those that the member holds. */
  copied: number;
}

export interface FoundPages {
  /** Pages with wrong checksums, as block numbers of the relation's fork. */
  badBlocks: readonly number[];
  /** `undefined`: not of a main fork, or with half a page at its end. */
  blocks: MemberBlocks | undefined;
}

/** Checked at once. */
const PAGES_BYTES = 1024 * 1024;

export class MemberPages {
  readonly #form: PageForm;
  readonly #relation: RelationFile;
  readonly #size: number;
  readonly #bad: number[] = [];
  #buffer: Buffer;
  #used = 0;
  /** What fills the buffer: the beginning of a header up to `wanted`, what is left of it, or pages. */
  #reading: 'header' | 'padding' | 'pages';
  #wanted: number;
  /** Of changed blocks: their numbers in the file, and how many bytes come before the first. */
  #listed: { blocks: Uint32Array; fileBlocks: number; headerBytes: number } | undefined;
  /** Pages that were checked. */
  #pages = 0;

  private constructor(relation: RelationFile, size: number, form: PageForm, isIncremental: boolean) {
    this.#form = form;
    this.#relation = relation;
    this.#size = size;
    this.#buffer = Buffer.allocUnsafeSlow(Math.min(PAGES_BYTES, size));
    this.#reading = isIncremental ? 'header' : 'pages';
    this.#wanted = isIncremental ? 0 : this.#buffer.length;
    if (isIncremental) this.#readHeader();
  }

  /** `undefined`: no relation's file. */
  static of({ path, size }: { path: string | Buffer; size: number }, form: PageForm): MemberPages | undefined {
    const text = path.toString('latin1');
    const plain = plainPath(text);
    const relation = relationFile(plain ?? text);
    return relation === undefined ? undefined : new MemberPages(relation, size, form, plain !== undefined);
  }

  /** The next bytes of the member, no more than it has. Throws `bad-format` for an incremental file that is none. */
  write(chunk: Uint8Array): void {
    for (let from = 0; from < chunk.length;) {
      const piece = chunk.subarray(from, from + this.#wanted - this.#used);
      if (this.#reading !== 'padding') this.#buffer.set(piece, this.#used);
      this.#used += piece.length;
      from += piece.length;
      if (this.#used === this.#wanted) this.#filled();
    }
  }

  /** After the last byte. */
  end(): FoundPages {
    if (this.#reading !== 'pages') throw strange('it ends in its header');
    this.#checkPages();
    const { pageBytes } = this.#form;
    if (this.#listed === undefined) {
      const all = this.#size / pageBytes;
      const isCounted = this.#relation.fork === 'main' && Number.isInteger(all);
      return { badBlocks: this.#bad, blocks: isCounted ? { all, copied: all } : undefined };
    }
    const { blocks, fileBlocks, headerBytes } = this.#listed;
    if (this.#size !== headerBytes + blocks.length * pageBytes) throw strange(`it has ${this.#size} bytes`);
    return { badBlocks: this.#bad, blocks: { all: fileBlocks, copied: blocks.length } };
  }

  #filled(): void {
    if (this.#reading === 'pages') this.#checkPages();
    else if (this.#reading === 'header') this.#readHeader();
    else this.#beginPages();
  }

  #readHeader(): void {
    const { pageBytes, blocksPerFile } = this.#form;
    const found = parseIncrementalHeader(this.#buffer.subarray(0, this.#used), {
      blockBytes: pageBytes,
      blocksPerFile,
    });
    if ('needs' in found) {
      if (found.needs > this.#size) throw strange('it ends in its header');
      if (found.needs > this.#buffer.length) this.#buffer = Buffer.concat([this.#buffer], found.needs);
      this.#wanted = found.needs;
      return;
    }
    const { blocks, truncationBlocks, headerBytes } = found;
    this.#listed = { blocks, fileBlocks: Math.max(truncationBlocks, (blocks.at(-1) ?? -1) + 1), headerBytes };
    if (this.#used === headerBytes) return this.#beginPages();
    this.#reading = 'padding';
    this.#wanted = headerBytes;
  }

  #beginPages(): void {
    this.#reading = 'pages';
    this.#used = 0;
    this.#wanted = Math.max(this.#form.pageBytes, this.#buffer.length - (this.#buffer.length % this.#form.pageBytes));
    if (this.#wanted > this.#buffer.length) this.#buffer = Buffer.allocUnsafeSlow(this.#wanted);
  }

  /** Blocks that follow one another in the file are checked at once. */
  #checkPages(): void {
    const { pageBytes, checksums } = this.#form;
    const pages = Math.floor(this.#used / pageBytes);
    for (let page = 0; checksums && page < pages;) {
      const block = this.#blockOf(page);
      let end = page + 1;
      while (end < pages && this.#blockOf(end) === block + end - page) end += 1;
      const run = this.#buffer.subarray(page * pageBytes, end * pageBytes);
      this.#bad.push(...checkPages(run, block, pageBytes).map((index) => block + index));
      page = end;
    }
    this.#pages += pages;
    this.#used = 0;
  }

  #blockOf(page: number): number {
    const index = this.#pages + page;
    const block = this.#listed === undefined ? index : (this.#listed.blocks[index] ?? 0);
    return firstBlock(this.#relation, this.#form.blocksPerFile) + block;
  }
}

function strange(detail: string): WalholdError {
  return new WalholdError('bad-format', 'could not read an incremental file', { detail });
}
