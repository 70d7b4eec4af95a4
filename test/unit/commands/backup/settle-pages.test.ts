import { describe, expect, it } from 'vitest';
import { settlePages } from '../../../../src/commands/backup/settle-pages.ts';
import { pageChecksum } from '../../../../src/postgres/page-checksum.ts';
import { ManualClock } from '../../../support/manual-clock.ts';

const PAGE = 8192;

/** A page with content and, for this block, a checksum that fits. */
function page(block: number, fill: number): Buffer {
  const bytes = Buffer.alloc(PAGE, fill);
  bytes.writeUInt16LE(pageChecksum(bytes, block), 8);
  return bytes;
}

function damaged(good: Buffer): Buffer {
  const bytes = Buffer.from(good);
  bytes[5000] = (bytes[5000] ?? 0) ^ 1;
  return bytes;
}

/** Settles pages 8 to 10 of a fork; `looks[n]` is what the file holds at the n-th further look. */
async function settle(chunk: Buffer, looks: Buffer[]): Promise<{ bad: number[]; looked: number; slept: number[] }> {
  const clock = new ManualClock();
  let looked = 0;
  const read = (into: Buffer, position: number): number => {
    const file = looks[Math.min(looked, looks.length - 1)] ?? Buffer.alloc(0);
    looked += 1;
    return file.copy(into, 0, position - PAGE, position - PAGE + into.length);
  };
  const work = settlePages(chunk, PAGE, {
    firstBlock: 7,
    pageBytes: PAGE,
    read,
    clock,
    signal: new AbortController().signal,
  });
  for (let i = 0; i < 10; i++) await clock.advance(100);
  return { bad: await work, looked, slept: clock.sleeps };
}

describe('pages that are read while the server writes', () => {
  const good = Buffer.concat([page(8, 1), page(9, 2), page(10, 3)]);
  const torn = Buffer.concat([good.subarray(0, PAGE), damaged(page(9, 2)), good.subarray(2 * PAGE)]);

  it('are let through when their checksums are right, without a second look', async () => {
    expect(await settle(Buffer.from(good), [])).toEqual({ bad: [], looked: 0, slept: [] });
  });

  it('are damaged when their bytes stay as they are for five looks', async () => {
    const { bad, looked, slept } = await settle(Buffer.from(torn), [torn]);
    expect(bad).toEqual([9]);
    expect(looked).toBe(4);
    expect(slept).toHaveLength(4);
  });

  it('were torn when they change, and the newer bytes are taken', async () => {
    const chunk = Buffer.from(torn);
    const { bad, looked } = await settle(chunk, [torn, good]);
    expect(bad).toEqual([]);
    expect(looked).toBe(2);
    expect(chunk.equals(good)).toBe(true);
  });

  it('may still be torn when they have changed: replay mends them', async () => {
    const other = Buffer.concat([torn.subarray(0, PAGE), damaged(page(9, 4)), torn.subarray(2 * PAGE)]);
    expect((await settle(Buffer.from(torn), [other])).bad).toEqual([]);
  });

  it('are nobody’s when the file was cut off before them', async () => {
    expect((await settle(Buffer.from(torn), [good.subarray(0, PAGE)])).bad).toEqual([]);
  });

  it('are looked at in one pause each, however many they are', async () => {
    const all = Buffer.concat([damaged(page(8, 1)), damaged(page(9, 2)), damaged(page(10, 3))]);
    const { bad, slept } = await settle(Buffer.from(all), [all]);
    expect(bad).toEqual([8, 9, 10]);
    expect(slept).toHaveLength(4);
  });
});
