/**
 * Reads a tar stream as `tar-header.ts` writes it, and nothing else: regular files and directories, ustar headers, pax records for
 * long names and large numbers. Untrusted input: links, devices, absolute paths, `..`, sparse files, other dialects and any byte
 * that should be zero and is not are refused with `damaged`. What comes out has a path that names something below a directory.
 */
import { WalholdError } from '../base/errors.ts';
import { checkRelativePath } from '../postgres/relative-path.ts';
import { TAR_BLOCK_BYTES, tarPadding } from './tar-header.ts';
import { readPax, type PaxRecords } from './untar-pax.ts';

export interface TarEntry {
  /** Relative, without a slash at its end; a Buffer only where it is not UTF-8. */
  readonly path: string | Buffer;
  readonly kind: 'file' | 'directory';
  readonly size: number;
  /** Permission bits, without setuid and its kin. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Empty where not known. */
  readonly user: string;
  readonly group: string;
  /** Seconds since 1970. */
  readonly modifiedAt: number;
}

/** Told of every member in order: `begin`, its content in pieces, `end`. The chunks are only lent. */
export interface TarSink {
  begin(entry: TarEntry): void;
  data(chunk: Uint8Array): void;
  end(): void;
}

/** More than any path needs. */
const PAX_MAX_BYTES = 64 * 1024;

export class Untar {
  readonly #sink: TarSink;
  readonly #block: Buffer = Buffer.alloc(TAR_BLOCK_BYTES);
  #blockBytes = 0;
  /** Content and padding of the member at hand that are still to come. */
  #left = 0;
  #padding = 0;
  #pax: { bytes: Buffer; used: number } | undefined;
  #paxRecords: PaxRecords | undefined;
  /** How many of the zero blocks at the end have come. */
  #endBlocks = 0;

  constructor(sink: TarSink) {
    this.#sink = sink;
  }

  write(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) at += this.#content(chunk, at);
      else if (this.#padding > 0) at += this.#skipPadding(chunk, at);
      else at += this.#collect(chunk, at);
    }
  }

  /** Throws unless the stream ended between two members. `whole`: the two zero blocks that end an archive must have come. */
  end(whole: boolean): void {
    if (this.#left > 0 || this.#padding > 0 || this.#blockBytes > 0 || this.#paxRecords !== undefined) {
      throw damaged('the archive ends within a member');
    }
    if (whole && this.#endBlocks < 2) throw damaged('the archive has no end');
    if (this.#endBlocks === 1) throw damaged('a zero block lies between members');
  }

  #content(chunk: Uint8Array, at: number): number {
    const bytes = Math.min(this.#left, chunk.length - at);
    const piece = at === 0 && bytes === chunk.length ? chunk : chunk.subarray(at, at + bytes);
    this.#left -= bytes;
    if (this.#pax === undefined) {
      this.#sink.data(piece);
      if (this.#left === 0) this.#sink.end();
      return bytes;
    }
    this.#pax.bytes.set(piece, this.#pax.used);
    this.#pax.used += bytes;
    if (this.#left === 0) {
      this.#paxRecords = readPax(this.#pax.bytes);
      this.#pax = undefined;
    }
    return bytes;
  }

  #skipPadding(chunk: Uint8Array, at: number): number {
    const bytes = Math.min(this.#padding, chunk.length - at);
    for (let each = at; each < at + bytes; each += 1) {
      if (chunk[each] !== 0) throw damaged('the padding of a member is not zero');
    }
    this.#padding -= bytes;
    return bytes;
  }

  #collect(chunk: Uint8Array, at: number): number {
    const bytes = Math.min(TAR_BLOCK_BYTES - this.#blockBytes, chunk.length - at);
    this.#block.set(chunk.subarray(at, at + bytes), this.#blockBytes);
    this.#blockBytes += bytes;
    if (this.#blockBytes === TAR_BLOCK_BYTES) {
      this.#blockBytes = 0;
      this.#header();
    }
    return bytes;
  }

  #header(): void {
    const block = this.#block;
    if (block.every((byte) => byte === 0)) {
      if (this.#paxRecords !== undefined) throw damaged('a pax header belongs to no member');
      this.#endBlocks += 1;
      return;
    }
    if (this.#endBlocks > 0) throw damaged('a member follows the end of the archive');
    checkBlock(block);
    const type = block.toString('latin1', 156, 157);
    const size = octal(block, 124, 12);
    if (type === 'x') {
      if (this.#paxRecords !== undefined || size === 0 || size > PAX_MAX_BYTES) throw damaged('a pax header is wrong');
      this.#pax = { bytes: Buffer.alloc(size), used: 0 };
      this.#expect(size);
      return;
    }
    const pax = this.#paxRecords ?? {};
    this.#paxRecords = undefined;
    const entry = entryOf(block, type, pax.size ?? size, pax);
    this.#sink.begin(entry);
    this.#expect(entry.size);
    if (entry.size === 0) this.#sink.end();
  }

  #expect(size: number): void {
    this.#left = size;
    this.#padding = tarPadding(size);
  }
}

function checkBlock(block: Buffer): void {
  const found = octal(block, 148, 8);
  let sum = 8 * 0x20;
  for (let at = 0; at < TAR_BLOCK_BYTES; at += 1) if (at < 148 || at >= 156) sum += block[at] ?? 0;
  if (found !== sum) throw damaged('the checksum of a header is wrong');
  if (block.toString('latin1', 257, 265) !== 'ustar\x0000') throw damaged('a header is not of the ustar form');
}

function entryOf(block: Buffer, type: string, size: number, pax: PaxRecords): TarEntry {
  const kind = type === '0' ? 'file' : type === '5' ? 'directory' : undefined;
  if (kind === undefined) throw damaged(`a member has the type ${JSON.stringify(type)}, which no backup has`);
  if (kind === 'directory' && size !== 0) throw damaged('a directory has content');
  if (text(block, 157, 100).length > 0) throw damaged('a member links to another');
  const raw = pax.path ?? nameOf(block);
  const path = pathOf(kind === 'directory' ? withoutSlash(raw) : raw);
  return {
    path,
    kind,
    size,
    mode: octal(block, 100, 8) & 0o777,
    uid: pax.uid ?? octal(block, 108, 8),
    gid: pax.gid ?? octal(block, 116, 8),
    user: text(block, 265, 32).toString('latin1'),
    group: text(block, 297, 32).toString('latin1'),
    modifiedAt: octal(block, 136, 12),
  };
}

function nameOf(block: Buffer): Buffer {
  const name = text(block, 0, 100);
  const prefix = text(block, 345, 155);
  return prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from('/'), name]);
}

function withoutSlash(name: Buffer): Buffer {
  return name.at(-1) === 0x2f ? name.subarray(0, -1) : name;
}

function pathOf(raw: Buffer): string | Buffer {
  const utf8 = raw.toString('utf8');
  const isText = Buffer.from(utf8, 'utf8').equals(raw);
  const wrong = checkRelativePath(isText ? utf8 : raw.toString('latin1'));
  if (wrong !== undefined) throw damaged(`a member cannot be placed: its ${wrong}`);
  return isText ? utf8 : Buffer.from(raw);
}

/** A field up to its first zero byte. */
function text(block: Buffer, at: number, length: number): Buffer {
  const field = block.subarray(at, at + length);
  const end = field.indexOf(0);
  return end < 0 ? field : field.subarray(0, end);
}

function octal(block: Buffer, at: number, length: number): number {
  const digits = text(block, at, length).toString('latin1').trim();
  if (!/^[0-7]{1,11}$/.test(digits)) throw damaged('a number in a header is not octal');
  return Number.parseInt(digits, 8);
}

function damaged(detail: string): WalholdError {
  return new WalholdError('damaged', 'could not read an archive', { detail });
}
