import { describe, expect, it } from 'vitest';
import { PartGatherer, partSize, type Part } from '../../../src/store/part-gatherer.ts';
import { patternBytes, pieces } from '../../support/bytes.ts';

const { signal } = new AbortController();
const MIB = 1024 * 1024;

async function parts(size: number, piece: number, partBytes: number): Promise<Part[]> {
  const gatherer = new PartGatherer(pieces(patternBytes(size), piece), partBytes, 1000);
  const found: Part[] = [];
  do found.push(await gatherer.next(signal));
  while (found.at(-1)?.last === false);
  return found;
}

describe('gathering a stream into parts', () => {
  it.each([
    [0, 7, [0]],
    [1, 7, [1]],
    [99, 7, [99]],
    // Whether a stream ends is only known by asking for more.
    [100, 100, [100, 0]],
    [101, 7, [100, 1]],
    [250, 1000, [100, 100, 50]],
    [300, 1, [100, 100, 100, 0]],
  ])('makes full parts and one that is the last, of %i bytes in pieces of %i', async (size, piece, expected) => {
    const found = await parts(size, piece, 100);
    expect(found.map((part) => part.bytes.byteLength)).toEqual(expected);
    expect(found.map((part) => part.last)).toEqual(expected.map((_, at) => at === expected.length - 1));
    expect(found.map((part) => part.number)).toEqual(expected.map((_, at) => at + 1));
    expect(Buffer.concat(found.map((part) => part.bytes)).equals(patternBytes(size))).toBe(true);
  });

  it('waits for a buffer, and uses it again', async () => {
    const gatherer = new PartGatherer(pieces(patternBytes(1000), 100), 100, 2);
    const first = await gatherer.next(signal);
    await gatherer.next(signal);
    let third: Part | undefined;
    const waiting = gatherer.next(signal).then((part) => (third = part));
    await new Promise((resolve) => setImmediate(resolve));
    expect(third).toBeUndefined();
    first.release();
    await waiting;
    expect(third?.bytes.buffer).toBe(first.bytes.buffer);
    expect(Buffer.from(third?.bytes ?? []).equals(patternBytes(1000).subarray(200, 300))).toBe(true);
  });

  it('gives up waiting for a buffer with the reason of the signal', async () => {
    const gatherer = new PartGatherer(pieces(patternBytes(1000), 100), 100, 1);
    await gatherer.next(signal);
    const reason = new Error('enough');
    await expect(gatherer.next(AbortSignal.abort(reason))).rejects.toBe(reason);
  });

  it('lets 10,000 parts hold what a cluster can need', () => {
    let bytes = 0;
    for (let number = 1; number <= 10_000; number += 1) bytes += partSize(number, 16 * MIB);
    expect(bytes).toBeGreaterThan(960 * 1024 * MIB);
    expect(partSize(2000, 16 * MIB)).toBe(16 * MIB);
    expect(partSize(2001, 16 * MIB)).toBe(32 * MIB);
  });
});
