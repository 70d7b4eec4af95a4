import { describe, expect, it } from 'vitest';
import { lsn } from '../../../src/postgres/lsn.ts';
import { timelineId } from '../../../src/postgres/timeline.ts';
import { missingSegments, segmentsBetween } from '../../../src/repository/required-wal.ts';
import { FileRepository } from '../../support/file-repository.ts';

const MB = 1024 * 1024;
const between = (start: bigint, stop: bigint, megabytes = 16): string[] =>
  segmentsBetween(timelineId(1), lsn(start), lsn(stop), megabytes * MB);

describe('the segments of a backup', () => {
  it.each([
    ['lie within one', 0x2000028n, 0x2000100n, ['000000010000000000000002']],
    ['end where one ends', 0x2000028n, 0x3000000n, ['000000010000000000000002']],
    ['end just behind', 0x2000028n, 0x3000001n, ['000000010000000000000002', '000000010000000000000003']],
    ['start where one starts', 0x2000000n, 0x2000000n, ['000000010000000000000002']],
    ['pass from log to log', 0xff000028n, 0x100000100n, ['0000000100000000000000FF', '000000010000000100000000']],
  ])('%s', (_, start, stop, names) => {
    expect(between(start, stop)).toEqual(names);
  });

  it('follow the segment size', () => {
    expect(between(0x100028n, 0x400000n, 1)).toHaveLength(3);
    expect(between(0x100028n, 0x400000n, 64)).toEqual(['000000010000000000000000']);
  });
});

describe('looking for segments', () => {
  const { signal } = new AbortController();

  it('names those that are not stored, few or many, over several logs', async () => {
    await using repository = await FileRepository.create();
    const names = between(0xfa000028n, 0x10a000100n);
    const holes = new Set([names[2], names[8]]);
    for (const name of names) if (!holes.has(name)) await repository.putWal(name, name);
    // Neighbours that are none of them.
    await repository.putWal(`${names[2]}.00000028.backup`, 'label');
    await repository.putWal('0000000100000000000000F9', 'before');
    await repository.putWal('00000001000000010000000B', 'behind');
    expect(await missingSegments(repository.repository.store, names, { signal })).toEqual([names[2], names[8]]);
    expect(await missingSegments(repository.repository.store, names.slice(1, 4), { signal })).toEqual([names[2]]);
    expect(await missingSegments(repository.repository.store, names.slice(3, 6), { signal })).toEqual([]);
    expect(await missingSegments(repository.repository.store, [], { signal })).toEqual([]);
  });

  it('does not take a partial segment for the whole', async () => {
    await using repository = await FileRepository.create();
    const names = between(0x2000028n, 0x8000000n);
    await repository.put(`wal/00000001/0000000100000000/${names[0]}.partial.0123456789abcdef.zst`, 'x');
    expect(await missingSegments(repository.repository.store, names, { signal })).toEqual(names);
  });
});
