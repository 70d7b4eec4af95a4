import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { compressFrame, decompressFrames, FrameReader, FrameWriter } from '../../../src/stream/zstd.ts';

function written(pieces: readonly Uint8Array[], level: number): Buffer {
  const writer = new FrameWriter(level);
  const out: Uint8Array[] = [];
  for (const piece of pieces) writer.write(piece, (bytes) => out.push(bytes));
  writer.end((bytes) => out.push(bytes));
  return Buffer.concat(out);
}

function read(stored: Uint8Array, step: number): Buffer {
  const reader = new FrameReader();
  const out: Buffer[] = [];
  for (let at = 0; at < stored.length; at += step) {
    reader.write(stored.subarray(at, at + step), (bytes) => out.push(Buffer.from(bytes)));
  }
  reader.end();
  return Buffer.concat(out);
}

const CONTENTS: [string, Buffer][] = [
  ['nothing', Buffer.alloc(0)],
  ['one byte', Buffer.of(7)],
  ['zeros larger than an output buffer', Buffer.alloc(3_000_000)],
  ['noise larger than an output buffer', randomBytes(700_001)],
  ['text', Buffer.from('a page of a table '.repeat(50_000))],
];

describe.each(CONTENTS)('zstd frames of %s', (_, plain) => {
  it('come back whole, whatever the pieces', () => {
    for (const size of [1 + plain.length, 4096, 262_144]) {
      const pieces: Buffer[] = [];
      for (let at = 0; at < plain.length; at += size) pieces.push(plain.subarray(at, at + size));
      const stored = written(pieces, 1);
      expect(decompressFrames(stored, plain.length).equals(plain)).toBe(true);
      expect(read(stored, 65_537).equals(plain)).toBe(true);
    }
  });

  it('are read by the zstd command', () => {
    const stored = Buffer.concat([compressFrame(plain, 1), written([plain], -5)]);
    const out = execFileSync('zstd', ['-dc'], { input: stored, maxBuffer: 1e8 });
    expect(out.equals(Buffer.concat([plain, plain]))).toBe(true);
  });
});

describe('damaged frames', () => {
  const good = compressFrame(Buffer.from('x'.repeat(10_000)), 1);

  it('cut short anywhere never pass for whole', () => {
    for (let length = 1; length < good.length; length++) {
      expect(() => decompressFrames(good.subarray(0, length), 10_000), `${length} bytes`).toThrow();
    }
  });

  it('give no more than they may', () => {
    expect(() => decompressFrames(good, 9_999)).toThrow(/more than the 9999 bytes/);
  });

  it('that are no zstd are refused', () => {
    expect(() => decompressFrames(Buffer.from('not compressed at all'), 100)).toThrow(/could not decompress/);
  });

  it('one byte at a time come out the same', () => {
    expect(read(good, 1).length).toBe(10_000);
  });
});

it('one writer makes many frames that stand alone', () => {
  const writer = new FrameWriter(1);
  const frames = ['first', 'second'].map((text) => {
    const out: Uint8Array[] = [];
    writer.write(Buffer.from(text), (bytes) => out.push(bytes));
    writer.end((bytes) => out.push(bytes));
    return Buffer.concat(out);
  });
  expect(frames.map((frame) => decompressFrames(frame, 10).toString())).toEqual(['first', 'second']);
});
