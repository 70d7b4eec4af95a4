import { describe, expect, it } from 'vitest';
import { formatIncrementalHeader } from '../../../src/postgres/incremental-file.ts';
import type { BackupRecord } from '../../../src/repository/backup-record.ts';
import { partKey, type BackupId } from '../../../src/repository/layout.ts';
import { readStoredPart, type StoredPart } from '../../../src/repository/stored-part.ts';
import { sha256 } from '../../../src/stream/checksum.ts';
import { SYSTEM_ID } from '../../support/file-repository.ts';
import { incrementalMember } from '../../support/incremental-member.ts';
import { memoryRepository } from '../../support/memory-repository.ts';
import { fixture } from '../../support/postgres-fixture.ts';
import { inSegment, putBackup, type Contents } from '../../support/stored-backup.ts';

const ID = '20261122T174500Z-full' as BackupId;
const PAGES = { pageBytes: 8192, blocksPerFile: 131072, checksums: true };
const LONG_NAME = `base/1/${'x'.repeat(150)}`;
const FILES: Contents = {
  PG_VERSION: '15\n',
  'base/1/1259': 'a table'.repeat(500),
  'base/1/': '',
  [LONG_NAME]: 'named at length',
  'base/1/empty': '',
  'base/1/large': 'much of it'.repeat(300_000),
};

async function stored(parts: readonly Contents[]): Promise<{
  record: BackupRecord;
  memory: ReturnType<typeof memoryRepository>['memory'];
  read: (number?: number, pages?: typeof PAGES) => Promise<StoredPart | undefined>;
}> {
  const { memory, repository } = memoryRepository();
  const put = (key: string, bytes: Uint8Array | string): Promise<void> => {
    memory.put(key, Buffer.from(bytes));
    return Promise.resolve();
  };
  const record = await putBackup({ put }, { startLsn: inSegment(1), stopLsn: inSegment(2), parts });
  const read = (number = 1, pages?: typeof PAGES): Promise<StoredPart | undefined> =>
    readStoredPart(repository, ID, number, { signal: new AbortController().signal, systemId: SYSTEM_ID, pages });
  return { record, memory, read };
}

describe('a part that is read without its record', () => {
  it('tells all that the record would have said', async () => {
    const { record, read } = await stored([FILES]);
    const found = await read();
    const [part] = record.parts;
    const frames = found?.frames.map(({ members, ...frame }) => ({
      ...frame,
      files: members.flatMap((one) => (one.kind === 'file' ? [{ path: one.path, size: one.size, at: one.at }] : [])),
    }));
    expect({ ...found, frames }).toEqual(part);
  });

  it('tells the digest and the time of each file, and the directories', async () => {
    const { read } = await stored([FILES]);
    const members = (await read())?.frames.flatMap((frame) => frame.members) ?? [];
    const digests = members.flatMap((one) => (one.kind === 'file' ? [[one.path, one.sha256, one.modifiedAt]] : []));
    const files = Object.entries(FILES).filter(([path]) => !path.endsWith('/'));
    expect(digests).toEqual(files.map(([path, text]) => [path, sha256(Buffer.from(text)), 0]));
    expect(members).toContainEqual({ kind: 'directory', path: 'base/1' });
  });

  it('is absent, or it is whole', async () => {
    const { read } = await stored([FILES]);
    expect(await read(2)).toBeUndefined();
  });

  it('tells which pages have wrong checksums, by their place in the fork', async () => {
    const pages = fixture(15, 'heap-pages');
    const torn = Buffer.from(pages);
    torn[8192 + 5000] = (torn[8192 + 5000] ?? 0) ^ 1;
    const { read } = await stored([{ 'base/1/16384': pages, 'base/1/16385': torn }]);
    const bad = (await read(1, PAGES))?.frames.flatMap(({ members }) =>
      members.map((one) => (one.kind === 'file' ? one.badBlocks : [])),
    );
    expect(bad).toEqual([[], [1]]);
  });

  it('tells the same of the pages in incremental files, and how many of how many blocks there are', async () => {
    const pages = fixture(15, 'heap-pages');
    const count = pages.length / 8192;
    const torn = Buffer.from(pages);
    torn[8192 + 5000] = (torn[8192 + 5000] ?? 0) ^ 1;
    const all = incrementalMember({ before: Buffer.alloc(0), after: torn }, 8192);
    const second = { before: torn, after: torn, also: (block: number) => block === 1 };
    const parts: Contents = {
      'base/1/16384': pages,
      'base/1/INCREMENTAL.16385': all,
      'base/1/INCREMENTAL.16386': incrementalMember(second, 8192),
      'base/1/INCREMENTAL.16387': incrementalMember({ before: torn, after: torn }, 8192),
      'base/1/16384_fsm': Buffer.alloc(8192),
    };
    const { read } = await stored([parts]);
    const found = (await read(1, PAGES))?.frames.flatMap(({ members }) =>
      members.map((one) => (one.kind === 'file' ? [one.badBlocks, one.blocks] : [])),
    );
    expect(found).toEqual([
      [[], { all: count, copied: count }],
      [[1], { all: count, copied: count }],
      [[1], { all: count, copied: 1 }],
      [[], { all: count, copied: 0 }],
      [[], undefined],
    ]);
  });

  it.each<[string, Buffer]>([
    ['another magic', Buffer.alloc(12)],
    ['half a header', formatIncrementalHeader(Uint32Array.of(1), 2, 8192).subarray(0, 16)],
    ['a block too few', formatIncrementalHeader(Uint32Array.of(1), 2, 8192)],
  ])('holds no incremental file with %s', async (_, bytes) => {
    const { read } = await stored([{ 'base/1/INCREMENTAL.16384': bytes }]);
    await expect(read(1, PAGES)).rejects.toMatchObject({ message: 'could not read an incremental file' });
  });

  it.each<[string, (bytes: Buffer) => Buffer]>([
    ['a flipped bit in it', (bytes) => flipped(bytes, 100)],
    ['a flipped bit in its end', (bytes) => flipped(bytes, bytes.length - 1000)],
    ['an end cut off', (bytes) => bytes.subarray(0, -1)],
    ['nothing but an end', (bytes) => bytes.subarray(-1024)],
    ['bytes before it', (bytes) => Buffer.concat([Buffer.alloc(7), bytes])],
  ])('is damaged with %s', async (_, change) => {
    const { memory, read } = await stored([FILES]);
    const key = partKey(ID, 1);
    memory.put(key, change(memory.objects.get(key)?.[0]?.bytes ?? Buffer.alloc(0)));
    await expect(read()).rejects.toMatchObject({ code: 'damaged' });
  });

  it('is not another part', async () => {
    const { memory, read } = await stored([FILES, { 'base/1/1': 'x' }]);
    memory.put(partKey(ID, 1), memory.objects.get(partKey(ID, 2))?.[0]?.bytes ?? Buffer.alloc(0));
    await expect(read()).rejects.toMatchObject({
      detail: `it says that it is ${ID}/part-2.tar.zst of cluster ${SYSTEM_ID}`,
    });
  });
});

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}
