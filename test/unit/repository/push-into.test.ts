import { describe, expect, it } from 'vitest';
import { SILENT } from '../../../src/base/log.ts';
import { pushInto } from '../../../src/repository/wal-archive.ts';
import { memoryRepository, preparedWal, type MemoryRepository } from '../../support/memory-repository.ts';
import { NOW } from '../../support/memory-store.ts';
import { nameOf, segmentBytes } from '../../support/made-segments.ts';

const DAY_MS = 86_400_000;
const LOCK = { mode: 'compliance' as const, periodMs: 30 * DAY_MS, maxMs: 365 * DAY_MS };
const UNTIL = new Date(NOW.getTime() + LOCK.periodMs);
const wal = preparedWal(nameOf(5), segmentBytes(5));
const options = { signal: new AbortController().signal, log: SILENT };

const retentionOf = ({ memory }: MemoryRepository, version = 0): unknown =>
  memory.objects.get(wal.key)?.[version]?.retention;

describe('a push into a repository that locks', () => {
  it('is done when the same content is there with a lock, and sets none anew', async () => {
    const made = memoryRepository({ locks: 'kept', versioned: true, lock: LOCK });
    made.memory.put(wal.key, wal.encoded.bytes, { retention: { mode: 'compliance', until: UNTIL } });
    expect(await pushInto(made.repository, wal, options)).toBe('present');
    expect(made.memory.calls.filter((call) => call.startsWith('retain'))).toEqual([]);
  });

  it('locks the same content that somebody stored without, before it says so', async () => {
    const made = memoryRepository({ locks: 'kept', versioned: true, lock: LOCK });
    made.memory.put(wal.key, wal.encoded.bytes);
    expect(await pushInto(made.repository, wal, options)).toBe('present');
    expect(retentionOf(made)).toMatchObject({ mode: 'compliance' });
  });

  it.each([
    ['looked for first', true],
    ['met when storing', false],
  ])('fails where the same content, %s, cannot be locked', async (_, expected) => {
    const made = memoryRepository({ locks: 'kept', mayRetain: false, lock: LOCK });
    made.memory.put(wal.key, wal.encoded.bytes);
    const pushed = pushInto(made.repository, wal, { ...options, expected });
    await expect(pushed).rejects.toMatchObject({ code: 'unlocked', hint: expect.any(String) as string });
    await expect(pushed).rejects.toThrow(wal.key);
  });

  it('locks the version that it compared, not one that covers it', async () => {
    const made = memoryRepository({ locks: 'kept', versioned: true, lock: LOCK });
    made.memory.put(wal.key, wal.encoded.bytes);
    made.memory.put(wal.key, Buffer.from('junk'));
    await pushInto(made.repository, wal, options);
    expect(retentionOf(made, 0)).toMatchObject({ mode: 'compliance' });
    expect(retentionOf(made, 1)).toBeUndefined();
  });

  it('asks nothing of locks where none are asked for', async () => {
    const made = memoryRepository({ locks: 'kept' });
    made.memory.put(wal.key, wal.encoded.bytes);
    expect(await pushInto(made.repository, wal, options)).toBe('present');
    expect(made.memory.calls.filter((call) => call.startsWith('look') || call.startsWith('retain'))).toEqual([]);
  });
});
