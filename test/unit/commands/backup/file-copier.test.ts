import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  appendFileSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../../src/base/clock.ts';
import { FileCopier } from '../../../../src/commands/backup/file-copier.ts';
import type { CopiedUnit, CopyUnit, IncrementInput } from '../../../../src/commands/backup/thread-protocol.ts';
import { PartWriter } from '../../../../src/repository/part-writer.ts';
import { formatIncrementalHeader } from '../../../../src/postgres/incremental-file.ts';
import { lsn } from '../../../../src/postgres/lsn.ts';
import { pageChecksum } from '../../../../src/postgres/page-checksum.ts';
import { sha256 } from '../../../../src/stream/checksum.ts';
import { decompressFrames, FrameWriter } from '../../../../src/stream/zstd.ts';
import { FileRepository } from '../../../support/file-repository.ts';

const KEY = 'backup/20261122T174500Z-full/part-1.tar.zst';
const MB = 1024 * 1024;

let data = '';
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'walhold-copier-'));
});
afterEach(() => rmSync(data, { recursive: true, force: true }));

function put(path: string, content: Uint8Array): void {
  mkdirSync(dirname(join(data, path)), { recursive: true });
  writeFileSync(join(data, path), content);
}

interface Copied extends CopiedUnit {
  /** Each file's content as it was stored. */
  contents: Record<string, Buffer>;
}

/** Copies as one unit; `advanced` is called after each chunk with all bytes so far. */
async function copy(
  what: string[] | CopyUnit,
  advanced: (bytes: number) => void = () => {},
  increment?: IncrementInput,
): Promise<Copied> {
  await using repository = await FileRepository.create();
  const { signal } = new AbortController();
  let sum = 0;
  const copier = new FileCopier({
    dataDirectory: data,
    pages: { pageBytes: 8192, blocksPerFile: 131072 },
    increment,
    names: { user: () => '', group: () => '' },
    clock: systemClock,
    signal,
    advanced: (bytes) => {
      sum += bytes;
      advanced(sum);
      return Promise.resolve();
    },
  });
  const about = { kind: 'backup-part' as const, name: 'x', systemId: '1' };
  const target = { key: KEY, about, stores: [repository.repository.store], signal };
  const writer = new PartWriter(target, new FrameWriter(1));
  const unit = await copier.copy(Array.isArray(what) ? { kind: 'files', paths: what } : what, writer, 1);
  await writer.finish();
  const bytes = readFileSync(join(repository.root, KEY));
  const contents: Record<string, Buffer> = {};
  for (const { offset, storedBytes, plainBytes, files } of unit.frames) {
    const plain = decompressFrames(bytes.subarray(offset, offset + storedBytes), plainBytes);
    for (const { path, at, size, sha256: digest } of files) {
      contents[String(path)] = plain.subarray(at, at + size);
      expect(digest).toBe(sha256(plain.subarray(at, at + size)));
    }
  }
  return { ...unit, contents };
}

/** Pages of a relation from this block on, with right checksums. */
function pages(count: number, firstBlock = 0): Buffer {
  const all = Buffer.alloc(count * 8192, 0x11);
  for (let i = 0; i < count; i++) {
    const page = all.subarray(i * 8192, (i + 1) * 8192);
    page.writeUInt16LE(pageChecksum(page, firstBlock + i), 8);
  }
  return all;
}

describe('files that change while they are copied', () => {
  it('are padded with zeros where they were cut off', async () => {
    put('large', Buffer.alloc(3 * MB, 1));
    const { contents } = await copy(['large'], (bytes) => {
      if (bytes === MB) truncateSync(join(data, 'large'), 1.5 * MB);
    });
    const expected = Buffer.concat([Buffer.alloc(1.5 * MB, 1), Buffer.alloc(1.5 * MB)]);
    expect(contents['large']?.equals(expected)).toBe(true);
  });

  it('end where they ended at first, however they grow', async () => {
    put('large', Buffer.alloc(2 * MB, 1));
    const { contents } = await copy(['large'], (bytes) => {
      if (bytes === MB) appendFileSync(join(data, 'large'), 'more');
    });
    expect(contents['large']?.length).toBe(2 * MB);
  });

  it('are passed over when they have vanished before, and whole when they vanish now', async () => {
    put('large', Buffer.alloc(2 * MB, 1));
    put('small', Buffer.from('x'));
    const { contents } = await copy(['gone', 'large', 'small'], (bytes) => {
      if (bytes === MB) unlinkSync(join(data, 'large'));
    });
    expect(Object.keys(contents)).toEqual(['large', 'small']);
    expect(contents['large']?.equals(Buffer.alloc(2 * MB, 1))).toBe(true);
  });

  it('may be larger than they looked when runs were planned', async () => {
    put('a', Buffer.alloc(600_000, 1));
    put('b', Buffer.alloc(600_000, 2));
    put('c', Buffer.alloc(2_000_000, 3));
    put('d', Buffer.alloc(10, 4));
    const { frames, contents } = await copy(['a', 'b', 'c', 'd']);
    expect(frames.map(({ files }) => files.map(({ path }) => path))).toEqual([['a'], ['b'], ['c'], ['d']]);
    expect(contents['d']?.equals(Buffer.alloc(10, 4))).toBe(true);
  });
});

describe('pages of relations', () => {
  it('are checked in small files and in large ones, as blocks of their fork', async () => {
    const bad = (content: Buffer, block: number): Buffer => {
      content[block * 8192 + 100] = 0;
      return content;
    };
    put('base/5/16384', bad(pages(200), 150));
    put('base/5/16385', bad(pages(3), 1));
    put('base/5/16386.2', bad(pages(2, 2 * 131072), 1));
    put('base/5/16387', pages(200));
    put('base/5/16388_vm', bad(pages(1), 0));
    const { badPages } = await copy(['16384', '16385', '16386.2', '16387', '16388_vm'].map((name) => `base/5/${name}`));
    expect(badPages).toEqual([
      { path: 'base/5/16384', block: 150 },
      { path: 'base/5/16385', block: 1 },
      { path: 'base/5/16386.2', block: 2 * 131072 + 1 },
      { path: 'base/5/16388_vm', block: 0 },
    ]);
  });

  it('are not looked for in other files, nor in half a page at the end', async () => {
    const noise = Buffer.alloc(8192, 0x5a);
    for (const path of ['base/5/PG_VERSION', 'base/5/pg_filenode.map', 'pg_xact/0000', 'mine']) put(path, noise);
    put('base/5/16384', Buffer.concat([pages(2), noise.subarray(0, 4096)]));
    const paths = ['base/5/PG_VERSION', 'base/5/pg_filenode.map', 'pg_xact/0000', 'mine', 'base/5/16384'];
    expect((await copy(paths)).badPages).toEqual([]);
  });
});

const SINCE = 0x5000;
/** Of a parent that began after all files here were made. */
const INCREMENT: IncrementInput = { pageBytes: 8192, since: lsn(BigInt(SINCE)), parentStartedMs: 8.64e15 };

/** Pages with right checksums, those named with an LSN at `SINCE`, the others with one before. */
function changedPages(count: number, changed: readonly number[], firstBlock = 0): Buffer {
  const all = pages(count);
  for (let block = 0; block < count; block++) {
    const page = all.subarray(block * 8192, (block + 1) * 8192);
    page.writeBigUInt64LE(0n, 0);
    page.writeUInt32LE(changed.includes(block) ? SINCE : SINCE - 1, 4);
    page.writeUInt16LE(pageChecksum(page, firstBlock + block), 8);
  }
  return all;
}

/** What must be stored of a file when these blocks of it have changed. */
function increment(content: Buffer, blocks: readonly number[]): Buffer {
  const header = formatIncrementalHeader(Uint32Array.from(blocks), content.length / 8192, 8192);
  return Buffer.concat([header, ...blocks.map((block) => content.subarray(block * 8192, (block + 1) * 8192))]);
}

const byPages = (...paths: string[]): CopyUnit => ({
  kind: 'changes',
  files: paths.map((path) => ({ path, blocks: undefined })),
});
const ofBlocks = (path: string, ...blocks: number[]): CopyUnit => ({
  kind: 'changes',
  files: [{ path, blocks: Uint32Array.from(blocks) }],
});

describe('changes since the parent', () => {
  it('are found by the LSNs in pages, whatever the times of the file, and all new pages are', async () => {
    const content = changedPages(200, [0, 7, 8, 150, 199]);
    content.fill(0, 20 * 8192, 21 * 8192);
    put('base/5/16384', content);
    utimesSync(join(data, 'base/5/16384'), new Date(0), new Date(0));
    const { contents, blocks } = await copy(byPages('base/5/16384'), undefined, INCREMENT);
    const expected = increment(content, [0, 7, 8, 20, 150, 199]);
    expect(contents).toEqual({ 'base/5/INCREMENTAL.16384': expected });
    expect(blocks).toEqual({ all: 200, copied: 6 });
  });

  it('are none in a file that nobody wrote to: twelve bytes of it are stored', async () => {
    put('base/5/16384', changedPages(200, []));
    put('global/1262', changedPages(1, []));
    const { contents, blocks, frames } = await copy(byPages('base/5/16384', 'global/1262'), undefined, INCREMENT);
    expect(Object.entries(contents).map(([path, { length }]) => [path, length])).toEqual([
      ['base/5/INCREMENTAL.16384', 12],
      ['global/INCREMENTAL.1262', 12],
    ]);
    expect(frames).toHaveLength(1);
    expect(blocks).toEqual({ all: 201, copied: 0 });
  });

  it('are stored in a frame of their own where they are many, each block in its place', async () => {
    const changed = Array.from({ length: 1000 }, (_, index) => index * 2 + (index % 5 === 0 ? 1 : 0));
    const content = changedPages(2001, changed);
    put('base/5/16384', content);
    const { contents } = await copy(byPages('base/5/16384'), undefined, INCREMENT);
    expect(contents['base/5/INCREMENTAL.16384']?.equals(increment(content, changed))).toBe(true);
  });

  it('are taken from a list, less what lies behind the end of the file', async () => {
    const content = changedPages(30, [0, 1, 2]);
    put('base/5/16384.1', content);
    const { contents, blocks } = await copy(ofBlocks('base/5/16384.1', 3, 9, 29, 30, 131_071), undefined, INCREMENT);
    expect(contents).toEqual({ 'base/5/INCREMENTAL.16384.1': increment(content, [3, 9, 29]) });
    expect(blocks).toEqual({ all: 30, copied: 3 });
  });

  it.each<[string, Buffer, CopyUnit, number]>([
    ['so much has changed', changedPages(10, [0, 1, 2, 3, 4, 5, 6, 7, 8]), byPages('base/5/16384'), 10],
    ['one block is all there is', changedPages(1, []), ofBlocks('base/5/16384', 0), 1],
    ['it is empty', Buffer.alloc(0), byPages('base/5/16384'), 0],
    [
      'half a page is just being added',
      Buffer.concat([changedPages(9, []), pages(1).subarray(0, 4096)]),
      byPages('base/5/16384'),
      0,
    ],
  ])('are a whole file when %s', async (_, content, unit, all) => {
    put('base/5/16384', content);
    const { contents, blocks } = await copy(unit, undefined, INCREMENT);
    expect(contents).toEqual({ 'base/5/16384': content });
    expect(blocks).toEqual({ all, copied: all });
  });

  it('are a whole file when it was made after the parent began, however old its pages are', async () => {
    const content = changedPages(20, []);
    const before = Date.now() - 60_000;
    put('base/5/16384', content);
    utimesSync(join(data, 'base/5/16384'), new Date(0), new Date(0));
    const { contents, blocks } = await copy(byPages('base/5/16384'), undefined, {
      ...INCREMENT,
      parentStartedMs: before,
    });
    expect(contents).toEqual({ 'base/5/16384': content });
    expect(blocks).toEqual({ all: 20, copied: 20 });
  });

  it('hold a page with a wrong checksum, whatever its LSN, and name it', async () => {
    const content = changedPages(20, [3]);
    content[12 * 8192 + 100] = 0;
    put('base/5/16384', content);
    const { contents, badPages } = await copy(byPages('base/5/16384'), undefined, INCREMENT);
    expect(contents).toEqual({ 'base/5/INCREMENTAL.16384': increment(content, [3, 12]) });
    expect(badPages).toEqual([{ path: 'base/5/16384', block: 12 }]);
  });

  it('are counted in files that are new to the parent, and not in other forks or files', async () => {
    put('base/5/16384', changedPages(3, []));
    put('base/5/16384_vm', changedPages(2, []));
    put('pg_xact/0000', Buffer.alloc(8192));
    const { blocks } = await copy(['base/5/16384', 'base/5/16384_vm', 'pg_xact/0000'], undefined, INCREMENT);
    expect(blocks).toEqual({ all: 3, copied: 3 });
  });

  it('may be cut off while they are looked for', async () => {
    const content = changedPages(400, [100, 300]);
    put('base/5/16384', content);
    const { contents } = await copy(
      byPages('base/5/16384'),
      (bytes) => {
        if (bytes === MB) truncateSync(join(data, 'base/5/16384'), 200 * 8192);
      },
      INCREMENT,
    );
    expect(contents).toEqual({ 'base/5/INCREMENTAL.16384': increment(content, [100]) });
  });
});
