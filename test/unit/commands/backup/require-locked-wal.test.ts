import { describe, expect, it } from 'vitest';
import { createInAll } from '../../../../src/commands/backup/create-in-all.ts';
import { requireLockedWal } from '../../../../src/commands/backup/require-locked-wal.ts';
import { memoryRepository, preparedWal } from '../../../support/memory-repository.ts';
import { NOW } from '../../../support/memory-store.ts';
import { nameOf, segmentBytes } from '../../../support/made-segments.ts';

const LOCK = { mode: 'governance' as const, periodMs: 86_400_000, maxMs: 86_400_000 };
const RETENTION = { mode: 'governance' as const, until: new Date(NOW.getTime() + LOCK.periodMs) };
const NAMES = [nameOf(5), nameOf(6)];
const options = { signal: new AbortController().signal, jobs: 2 };

describe('a backup in a repository that locks', () => {
  it.each([true, false])(
    'is refused when a segment that it needs has no lock and can get none (%s)',
    async (locked) => {
      const plain = memoryRepository({ number: 1 });
      const { memory, repository } = memoryRepository({ number: 2, locks: 'kept', mayRetain: false, lock: LOCK });
      for (const [at, name] of NAMES.entries()) {
        const { key, encoded } = preparedWal(name, segmentBytes(5 + at));
        for (const into of [plain.memory, memory]) {
          into.put(key, encoded.bytes, { retention: at === 0 || locked ? RETENTION : undefined });
        }
      }
      const required = requireLockedWal([plain.repository, repository], NAMES, options);
      if (locked) await required;
      else
        await expect(required).rejects.toMatchObject({
          code: 'unlocked',
          message: expect.stringContaining(nameOf(6)) as string,
        });
      expect(plain.memory.calls).toEqual([]);
    },
  );

  it('is refused when its own object is there already, the same and without a lock', async () => {
    const { memory, repository } = memoryRepository({ locks: 'kept', mayRetain: false, lock: LOCK });
    memory.put('backup/x/backup.json', Buffer.from('{}'));
    const run = { repositories: [repository], signal: options.signal };
    await expect(createInAll(run, 'backup/x/backup.json', Buffer.from('{}'))).rejects.toMatchObject({
      code: 'unlocked',
    });
  });
});
