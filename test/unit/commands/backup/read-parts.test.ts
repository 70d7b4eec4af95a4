import { describe, expect, it } from 'vitest';
import { isRefusal } from '../../../../src/commands/backup/backup-type.ts';
import { readParts } from '../../../../src/commands/backup/resume/read-parts.ts';
import { formatIncrementalHeader } from '../../../../src/postgres/incremental-file.ts';
import { findInterrupted } from '../../../../src/repository/interrupted-backup.ts';
import { attemptKey, commitKey, partKey, type BackupId } from '../../../../src/repository/layout.ts';
import { SYSTEM_ID } from '../../../support/file-repository.ts';
import { memoryRepository, type MemoryRepository } from '../../../support/memory-repository.ts';
import { fixture } from '../../../support/postgres-fixture.ts';
import { inSegment, putBackup, type Contents } from '../../../support/stored-backup.ts';

const ID = '20261122T174500Z-full' as BackupId;
const LOCK = { mode: 'governance' as const, periodMs: 86_400_000, maxMs: 86_400_000 };
const PARTS: readonly Contents[] = [{ PG_VERSION: '15\n' }, { 'base/1/1259': 'a table', 'base/1/1247': 'another' }];
/** No block of a file of three has changed. */
const NOTHING = formatIncrementalHeader(new Uint32Array(), 3, 8192);
const { signal } = new AbortController();

/** An upload that did not end, in these repositories. */
async function interrupted(repositories: readonly MemoryRepository[], parts = PARTS): Promise<void> {
  for (const { memory } of repositories) {
    const put = (key: string, bytes: Uint8Array | string): Promise<void> => {
      if (/part-/.test(key)) memory.put(key, Buffer.from(bytes));
      return Promise.resolve();
    };
    await putBackup({ put }, { startLsn: inSegment(1), stopLsn: inSegment(2), parts });
  }
}

async function read(
  all: readonly MemoryRepository[],
  olderFiles: ReadonlySet<string> = new Set(),
): ReturnType<typeof readParts> {
  const repositories = all.map(({ repository }) => repository);
  const found = await findInterrupted(repositories, { signal, systemId: SYSTEM_ID });
  if (found === undefined) throw new Error('there is no interrupted backup');
  const pages = { pageBytes: 8192, blocksPerFile: 131072, checksums: true };
  const progress = { phase: () => {} };
  const reading = { repositories, systemId: SYSTEM_ID, pages, olderFiles, jobs: 2, progress, signal };
  return await readParts(reading, found);
}

function bytesAt({ memory }: MemoryRepository, part: number): Buffer | undefined {
  return memory.objects.get(partKey(ID, part))?.[0]?.bytes;
}

describe('the parts of an interrupted backup', () => {
  it('are used as they are', async () => {
    const one = memoryRepository();
    await interrupted([one]);
    const parts = await read([one]);
    expect(isRefusal(parts) || parts.map(({ number }) => number)).toEqual([1, 2]);
    expect(one.memory.calls.filter((call) => call.startsWith('create'))).toEqual([]);
  });

  it('are brought to a repository that lacks some, proven on the way', async () => {
    const all = [memoryRepository({ number: 1 }), memoryRepository({ number: 2 })] as const;
    await interrupted(all);
    all[0].memory.objects.delete(partKey(ID, 2));
    await read(all);
    expect(bytesAt(all[0], 2)?.equals(bytesAt(all[1], 2) ?? Buffer.alloc(0))).toBe(true);
  });

  it('are not trusted where repositories differ', async () => {
    const all = [memoryRepository({ number: 1 }), memoryRepository({ number: 2 })] as const;
    await interrupted([all[0]]);
    await interrupted([all[1]], [PARTS[0] ?? {}, { 'base/1/1259': 'a tablE', 'base/1/1247': 'another' }]);
    await expect(read(all)).rejects.toMatchObject({ code: 'damaged', detail: 'memory://1 holds another one' });
  });

  it('must be locked as new ones would be, or get the lock now', async () => {
    const all = [true, false].map((mayRetain) => memoryRepository({ locks: 'kept', mayRetain, lock: LOCK }));
    await interrupted(all);
    const [lockable, other] = all as [MemoryRepository, MemoryRepository];
    await read([lockable]);
    expect(lockable.memory.objects.get(partKey(ID, 2))?.[0]?.retention).toMatchObject({ mode: 'governance' });
    await expect(read([other])).rejects.toMatchObject({ code: 'unlocked' });
  });

  it('hold changes of files of which the parent holds an older state', async () => {
    const one = memoryRepository();
    await interrupted([one], [...PARTS, { 'base/1/INCREMENTAL.16384': NOTHING }]);
    expect(isRefusal(await read([one], new Set(['base/1/16384'])))).toBe(false);
    expect(await read([one], new Set(['base/1/16385']))).toEqual({
      why: 'part 3 holds changes of base/1/16384, of which there is no older state',
    });
  });

  it.each<[string, readonly Contents[], string]>([
    ['the end of the backup', [...PARTS, { backup_label: 'x', 'global/pg_control': 'x' }], 'its end is stored already'],
    ['a file twice', [...PARTS, { 'base/1/1259': 'a table' }], 'two parts hold "base/1/1259"'],
    [
      'a file and its changes',
      [...PARTS, { 'base/1/INCREMENTAL.1259': NOTHING }],
      'two parts hold "base/1/INCREMENTAL.1259"',
    ],
    ['pages with wrong checksums', [{ 'base/1/16384': tornPages() }], 'part 1 holds pages with wrong checksums'],
  ])('are not used with %s among them', async (_, parts, why) => {
    const one = memoryRepository();
    await interrupted([one], parts);
    expect(await read([one], new Set(['base/1/1259']))).toEqual({ why });
  });
});

describe('the newest backup that was begun', () => {
  it('is interrupted as long as no repository holds its record', async () => {
    const all = [memoryRepository({ number: 1 }), memoryRepository({ number: 2 })] as const;
    await interrupted(all);
    const repositories = all.map(({ repository }) => repository);
    const look = async (): Promise<string | undefined> =>
      (await findInterrupted(repositories, { signal, systemId: SYSTEM_ID }))?.id;
    expect(await look()).toBe(ID);
    all[0].memory.put(attemptKey(ID, 1), Buffer.from('nonsense'));
    expect(await findInterrupted(repositories, { signal, systemId: SYSTEM_ID })).toMatchObject({
      notes: [],
      fault: expect.stringContaining('could not trust') as string,
      nextAttempt: 2,
    });
    all[1].memory.put(commitKey(ID), Buffer.from('{}'));
    expect(await look()).toBeUndefined();
  });
});

function tornPages(): Buffer {
  const pages = Buffer.from(fixture(15, 'heap-pages'));
  pages[5000] = (pages[5000] ?? 0) ^ 1;
  return pages;
}
