import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  appendFileSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../../src/base/clock.ts';
import { FileCopier } from '../../../../src/commands/backup/file-copier.ts';
import type { CopiedUnit } from '../../../../src/commands/backup/thread-protocol.ts';
import { PartWriter } from '../../../../src/repository/part-writer.ts';
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
async function copy(paths: string[], advanced: (bytes: number) => void = () => {}): Promise<Copied> {
  await using repository = await FileRepository.create();
  const { signal } = new AbortController();
  let sum = 0;
  const copier = new FileCopier({
    dataDirectory: data,
    pages: { pageBytes: 8192, blocksPerFile: 131072 },
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
  const unit = await copier.copy({ kind: 'files', paths }, writer, 1);
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
