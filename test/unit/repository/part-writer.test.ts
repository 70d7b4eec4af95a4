import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { WalholdError } from '../../../src/base/errors.ts';
import { parseTail, TAIL_BYTES } from '../../../src/repository/object-head.ts';
import { PartWriter, type PartTarget } from '../../../src/repository/part-writer.ts';
import type { Store } from '../../../src/store/store.ts';
import { crc32c, sha256 } from '../../../src/stream/checksum.ts';
import { TAR_END_BYTES } from '../../../src/stream/tar-header.ts';
import { decompressFrames, FrameWriter } from '../../../src/stream/zstd.ts';
import { patternBytes } from '../../support/bytes.ts';
import { FileRepository } from '../../support/file-repository.ts';
import { waitFor } from '../../support/wait-for.ts';

const KEY = 'backup/20261122T174500Z-full/part-2.tar.zst';
const ABOUT = { kind: 'backup-part', name: '20261122T174500Z-full/part-2.tar.zst', systemId: '1' } as const;

const target = (stores: readonly Store[], signal = new AbortController().signal): PartTarget => ({
  key: KEY,
  about: ABOUT,
  stores,
  signal,
});

function writeFrame(writer: PartWriter, plain: Buffer): ReturnType<PartWriter['endFrame']> {
  writer.beginFrame(plain.length);
  writer.write(plain.subarray(0, 1000));
  writer.write(plain.subarray(1000));
  return writer.endFrame();
}

describe('a part', () => {
  it('lies in every store, with frames that can be read alone and a tail that proves the rest', async () => {
    await using one = await FileRepository.create();
    await using two = await FileRepository.create();
    const writer = new PartWriter(target([one.repository.store, two.repository.store]), new FrameWriter(1));
    const contents = [patternBytes(3_000_000, 1), Buffer.alloc(500_000, 7), patternBytes(5000, 2)];
    const frames = contents.map((plain) => writeFrame(writer, plain));
    const { lastFrame, ...stored } = await writer.finish();

    const bytes = readFileSync(join(one.root, KEY));
    expect(readFileSync(join(two.root, KEY)).equals(bytes)).toBe(true);
    expect(bytes.length).toBe(stored.storedBytes);
    for (const [index, { offset, storedBytes, plainBytes }] of frames.entries()) {
      const frame = bytes.subarray(offset, offset + storedBytes);
      expect(decompressFrames(frame, plainBytes).equals(contents[index] ?? Buffer.alloc(0))).toBe(true);
    }
    expect(lastFrame).toMatchObject({ plainBytes: TAR_END_BYTES, files: [] });
    const body = bytes.subarray(0, -TAIL_BYTES);
    expect(lastFrame.offset + lastFrame.storedBytes).toBe(body.length);
    expect(stored).toMatchObject({ sha256: sha256(body), crc32c: crc32c(body), plainBytes: 3_505_000 + TAR_END_BYTES });
    expect(parseTail(bytes.subarray(-TAIL_BYTES), 'part')).toMatchObject({
      ...ABOUT,
      bytes: stored.plainBytes,
      storedBytes: body.length,
      storedCrc32c: stored.crc32c,
      sha256: stored.sha256,
    });
    // And for everybody: the tail is nothing to `zstd`.
    const plain = execFileSync('zstd', ['-dc'], { input: bytes, maxBuffer: 10_000_000 });
    expect(plain.equals(Buffer.concat([...contents, Buffer.alloc(TAR_END_BYTES)]))).toBe(true);
  });

  it('says in each frame how much it holds', async () => {
    await using repository = await FileRepository.create();
    const writer = new PartWriter(target([repository.repository.store]), new FrameWriter(1));
    const { storedBytes } = writeFrame(writer, patternBytes(100_000));
    await writer.finish();
    const frame = readFileSync(join(repository.root, KEY)).subarray(0, storedBytes);
    const path = join(repository.root, 'frame.zst');
    await repository.put('frame.zst', frame);
    expect(execFileSync('zstd', ['-lv', path]).toString()).toMatch(/Decompressed Size: [^\n]*100000 B/);
  });

  it('refuses a frame of another size than was announced', () => {
    const store = { url: 'x', create: () => new Promise(() => {}) } as unknown as Store;
    const writer = new PartWriter(target([store]), new FrameWriter(1));
    writer.beginFrame(100);
    writer.write(Buffer.alloc(99));
    expect(() => writer.endFrame()).toThrow('size');
  });

  it('whose key is taken is a conflict', async () => {
    await using repository = await FileRepository.create();
    await repository.put(KEY, 'somebody else');
    const writer = new PartWriter(target([repository.repository.store]), new FrameWriter(1));
    writeFrame(writer, patternBytes(5000));
    await expect(writer.finish()).rejects.toMatchObject({ code: 'conflict' });
    expect(readFileSync(join(repository.root, KEY), 'utf8')).toBe('somebody else');
  });

  it('that fails in one store fails, and shows nothing in the other', async () => {
    await using repository = await FileRepository.create();
    const broken = { url: 'broken', create: () => Promise.reject(new Error('the disk is full')) } as unknown as Store;
    const writer = new PartWriter(target([repository.repository.store, broken]), new FrameWriter(1));
    await expect(writer.ready()).rejects.toThrow('the disk is full');
    await expect(writer.durable()).rejects.toThrow('the disk is full');
    expect(() => writer.end()).toThrow('the disk is full');
    expect(readdirSync(repository.root, { recursive: true }).filter((name) => String(name).includes('part-'))).toEqual(
      [],
    );
  });

  describe('whose upload a store has lost', () => {
    /** Takes all of a stream and loses it, so many times; `real` has the rest of the calls. */
    function losing(real: Store, times: number): { store: Store; taken: () => number } {
      let taken = 0;
      const store: Store = {
        ...real,
        async create(key, body, options) {
          if (taken === times) return await real.create(key, body, options);
          taken += 1;
          if (body.kind === 'stream') for await (const _ of body.chunks);
          throw new WalholdError('upload-lost', 'could not store it');
        },
      };
      return { store, taken: () => taken };
    }

    it.each([
      ['first', 0],
      ['last', 1],
    ])('is brought there from another that holds it: the %s', async (_, place) => {
      await using one = await FileRepository.create();
      await using two = await FileRepository.create();
      const { store, taken } = losing(two.repository.store, 2);
      const stores = place === 0 ? [store, one.repository.store] : [one.repository.store, store];
      const writer = new PartWriter(target(stores), new FrameWriter(1));
      writeFrame(writer, patternBytes(3_000_000, 1));
      const { sha256: digest } = await writer.finish();
      expect(taken()).toBe(2);
      const bytes = readFileSync(join(two.root, KEY));
      expect(sha256(bytes.subarray(0, -TAIL_BYTES))).toBe(digest);
      expect(readFileSync(join(one.root, KEY)).equals(bytes)).toBe(true);
    });

    it('is not brought there where it was damaged meanwhile', async () => {
      await using one = await FileRepository.create();
      await using two = await FileRepository.create();
      const real = one.repository.store;
      const turning: Store = {
        ...real,
        async open(key, options) {
          const opened = await real.open(key, options);
          return opened && { ...opened, chunks: turned(opened.chunks) };
        },
      };
      async function* turned(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
        for await (const chunk of chunks) yield chunk.map((byte) => byte ^ 1);
      }
      const writer = new PartWriter(target([turning, losing(two.repository.store, 1).store]), new FrameWriter(1));
      writeFrame(writer, patternBytes(5000));
      await expect(writer.finish()).rejects.toMatchObject({ code: 'damaged' });
      expect(readdirSync(two.root, { recursive: true }).filter((name) => String(name).includes('part-'))).toEqual([]);
    });

    it.each([1, 2])('is lost where no store holds it (%i stores)', async (count) => {
      await using repository = await FileRepository.create();
      const stores = Array.from({ length: count }, () => losing(repository.repository.store, Infinity).store);
      const writer = new PartWriter(target(stores), new FrameWriter(1));
      writeFrame(writer, patternBytes(5000));
      await expect(writer.finish()).rejects.toMatchObject({ code: 'upload-lost' });
    });

    it('is given up where that goes on', async () => {
      await using one = await FileRepository.create();
      const { store, taken } = losing(one.repository.store, Infinity);
      const writer = new PartWriter(target([one.repository.store, store]), new FrameWriter(1));
      writeFrame(writer, patternBytes(5000));
      await expect(writer.finish()).rejects.toMatchObject({ code: 'upload-lost' });
      expect(taken()).toBe(5);
    });
  });

  it('that is aborted leaves nothing', async () => {
    await using repository = await FileRepository.create();
    const stop = new AbortController();
    const writer = new PartWriter(target([repository.repository.store], stop.signal), new FrameWriter(1));
    const left = (): string[] => readdirSync(repository.root, { recursive: true }).map(String);
    const isUploading = (): boolean => left().some((name) => /tmp-\d/.test(name));
    writeFrame(writer, patternBytes(1_000_000));
    await waitFor(isUploading, { what: 'the upload to begin' });
    stop.abort(new Error('stopped'));
    writer.abort(stop.signal.reason);
    await expect(writer.ready()).rejects.toThrow('stopped');
    await expect(writer.durable()).rejects.toThrow('stopped');
    // The store answers an abort at once, and cleans up behind it.
    await waitFor(() => !isUploading(), { what: 'nothing to be left' });
    expect(left().filter((name) => name.includes('part-'))).toEqual([]);
  });

  it('waits for a store that is slow', async () => {
    const taken: Uint8Array[] = [];
    let take: (() => void) | undefined;
    const store = {
      url: 'slow',
      async create(_: string, { chunks }: { chunks: AsyncIterable<Uint8Array> }) {
        for await (const chunk of chunks) {
          taken.push(chunk);
          await new Promise<void>((resolve) => {
            take = resolve;
          });
        }
        return 'created' as const;
      },
    } as unknown as Store;
    const writer = new PartWriter(target([store]), new FrameWriter(1));
    writeFrame(writer, patternBytes(8_000_000));
    let ready = false;
    const waiting = writer.ready().then(() => {
      ready = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(ready).toBe(false);
    while (!ready) {
      take?.();
      await new Promise((resolve) => setImmediate(resolve));
    }
    await waiting;
    expect(taken.length).toBeGreaterThan(10);
  });
});
