import { rename } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { timelineId } from '../../../src/postgres/timeline.ts';
import { readWalInventory, type ReadInventory } from '../../../src/repository/read-wal-inventory.ts';
import { highestStored, partialsOf, walOf } from '../../../src/repository/wal-inventory.ts';
import { FileRepository, SYSTEM_ID } from '../../support/file-repository.ts';

const signal = new AbortController().signal;
const one = timelineId(1);
const two = timelineId(2);
const segment = (timeline: number, n: number): string =>
  `${String(timeline).padStart(8, '0')}00000000${n.toString(16).toUpperCase().padStart(8, '0')}`;

let first: FileRepository;
let second: FileRepository;

beforeEach(async () => {
  first = await FileRepository.create(1);
  second = await FileRepository.create(2);
});

afterEach(async () => {
  await first[Symbol.asyncDispose]();
  await second[Symbol.asyncDispose]();
});

async function read(options: { from?: bigint; segmentMb?: number } = {}): Promise<ReadInventory> {
  const { segmentMb = 16, from } = options;
  return await readWalInventory([first.repository, second.repository], {
    signal,
    segmentBytes: segmentMb * 1024 * 1024,
    systemId: SYSTEM_ID,
    ...(from === undefined ? {} : { from }),
  });
}

describe('the inventory of the stored WAL', () => {
  it('is the union over repositories, and says who holds what', async () => {
    for (const n of [1, 2, 4]) await first.putWal(segment(1, n), 'x');
    for (const n of [2, 3, 0xff]) await second.putWal(segment(1, n), 'x');
    const { segments } = walOf(await read(), one);
    expect(segments.runs).toEqual([
      { first: 1n, last: 4n },
      { first: 255n, last: 255n },
    ]);
    expect(segments.get(2n)?.repositories).toEqual([1, 2]);
    expect(segments.get(3n)?.repositories).toEqual([2]);
    expect(segments.get(5n)).toBeUndefined();
    expect(segments.runsIn(1)).toEqual([
      { first: 1n, last: 2n },
      { first: 4n, last: 4n },
    ]);
  });

  it('can begin at a segment, over the boundary of a log', async () => {
    for (const name of [segment(1, 0xfe), segment(1, 0xff), '000000010000000100000000']) await first.putWal(name, 'x');
    const { segments } = walOf(await read({ from: 255n }), one);
    expect(segments.runs).toEqual([{ first: 255n, last: 256n }]);
  });

  it('holds partials beside the segments, each content once', async () => {
    await first.putWal(segment(1, 1), 'x');
    for (const repository of [first, second]) {
      await repository.put(`wal/00000001/0000000100000000/${segment(1, 2)}.partial.0123456789abcdef.zst`, 'x');
    }
    await second.put(`wal/00000001/0000000100000000/${segment(1, 2)}.partial.ffff456789abcdef.zst`, 'x');
    const wal = walOf(await read(), one);
    expect(highestStored(wal)).toBe(2n);
    expect(partialsOf(wal, 2n).map(({ repositories }) => repositories)).toEqual([[1, 2], [2]]);
  });

  it('reads history files, from the next repository where one is damaged', async () => {
    const key = await first.putWal('00000002.history', '1\t0/5000100\tno reason\n');
    await second.putWal('00000002.history', '1\t0/5000100\tno reason\n');
    await first.put(key, 'garbage');
    const { histories, damagedHistories } = await read();
    expect(histories.get(two)?.entries).toMatchObject([{ timeline: 1, switchLsn: 0x5000100n }]);
    expect(damagedHistories).toEqual([]);
  });

  it('names a history that is damaged everywhere, or belongs to another cluster', async () => {
    await first.putWal('00000002.history', '1\t0/5000100\tno reason\n', { systemId: '42' });
    await first.putWal('00000003.history', 'nonsense');
    const { histories, damagedHistories } = await read();
    expect(histories.size).toBe(0);
    expect(damagedHistories.map(({ timeline }) => timeline)).toEqual([2, 3]);
  });

  it('passes over what format 1 does not put there, and names it', async () => {
    await first.putWal(segment(1, 1), 'x');
    await first.put('wal/notes.txt', 'x');
    await first.put('wal/garbage/file', 'x');
    await first.put(`wal/00000001/0000000200000000/${segment(1, 2)}.zst`, 'x');
    const found = await read();
    expect(walOf(found, one).segments.size).toBe(1);
    expect([...found.strange].sort()).toEqual([
      `wal/00000001/0000000200000000/${segment(1, 2)}.zst`,
      'wal/garbage/',
      'wal/notes.txt',
    ]);
  });

  it('takes no segment that the segment size has no place for', async () => {
    await first.putWal(segment(1, 0x40), 'x');
    const found = await read({ segmentMb: 64 });
    expect(walOf(found, one).segments.size).toBe(0);
    expect(found.strange).toHaveLength(1);
  });

  it('goes on without a repository that cannot be listed, and says so', async () => {
    await second.putWal(segment(1, 1), 'x');
    await rename(first.root, `${first.root}-away`);
    const found = await read();
    await rename(`${first.root}-away`, first.root);
    expect(found.failures).toMatchObject([{ repository: { number: 1 }, error: { code: 'store-gone' } }]);
    expect(walOf(found, one).segments.size).toBe(1);
  });

  it('fails when none can be listed', async () => {
    for (const { root } of [first, second]) await rename(root, `${root}-away`);
    await expect(read()).rejects.toMatchObject({ code: 'store-gone' });
    for (const { root } of [first, second]) await rename(`${root}-away`, root);
  });
});
