import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { mkdir, mkdtemp, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spaceCheck } from '../../../../src/commands/check/host-checks.ts';
import { lastBackupCheck } from '../../../../src/commands/check/last-backup.ts';
import { retentionCheck } from '../../../../src/commands/check/bucket-checks.ts';
import { FileRepository } from '../../../support/file-repository.ts';
import { ManualClock } from '../../../support/manual-clock.ts';
import { inSegment, putBackup } from '../../../support/stored-backup.ts';

const DAY = 86_400_000;
const { signal } = new AbortController();
const clock = new ManualClock(Date.parse('2026-06-10T00:00:00Z'));

describe('the last backup', () => {
  let stored: FileRepository;
  beforeEach(async () => {
    stored = await FileRepository.create();
  });
  afterEach(() => stored[Symbol.asyncDispose]());

  const checkWith = async (windowMs: number | undefined): Promise<[boolean, string] | undefined> => {
    const repository = { ...stored.repository, retention: { windowMs, fullBackups: 2 } };
    const [row] = await lastBackupCheck(repository, { signal, clock });
    return row === undefined ? undefined : [row.ok, row.found];
  };

  it('is looked for where there is a window, and must lie in it', async () => {
    expect(await checkWith(7 * DAY)).toEqual([true, 'there is none']);
    const id = '20260605T000000Z-full';
    const points = { startLsn: inSegment(3), stopLsn: inSegment(4, 400) };
    await putBackup(stored, { id, ...points, stoppedAt: '2026-06-05T00:01:00Z' });
    await stored.put('backup/20260606T000000Z-full/part-1.tar.zst', 'an upload');
    await stored.put('backup/20260607T000000Z-full/backup.json', 'damaged');
    expect(await checkWith(7 * DAY)).toEqual([true, `${id}, of 2026-06-05T00:01:00.000Z`]);
    expect(await checkWith(4 * DAY)).toEqual([false, `${id}, of 2026-06-05T00:01:00.000Z`]);
    expect(await checkWith(undefined)).toBeUndefined();
  });

  it('is not asked for without a retention, of which there is a warning', () => {
    const row = retentionCheck(stored.repository);
    expect(row).toMatchObject({ ok: true, found: 'retention_window is not set' });
    expect(row.hint).toContain('Warning');
    const count = { ...stored.repository, retention: { windowMs: 0, fullBackups: 3 } };
    expect(retentionCheck(count).found).toBe('at least 3 full backups');
  });
});

describe('the space for pg_wal', () => {
  it('must hold what was written in the last hour', async () => {
    const dataDirectory = await mkdtemp(join(tmpdir(), 'walhold-space-'));
    try {
      const wal = join(dataDirectory, 'pg_wal');
      await mkdir(wal);
      const put = async (name: string, minutesAgo: number): Promise<void> => {
        const path = join(wal, name);
        await writeFile(path, '');
        // As big as no disk: nothing is written of it.
        await truncate(path, 2 ** 40);
        const at = new Date(clock.now() - minutesAgo * 60_000);
        await utimes(path, at, at);
      };
      const options = { dataDirectory, segmentBytes: 1024 * 1024, session: undefined, clock };
      await put('000000010000000000000001', 90);
      expect(await spaceCheck(options)).toMatchObject({ ok: true, expected: 'at least 64 MB free (64 segments)' });
      for (let n = 2; n < 10; n += 1) await put(`00000001000000000000000${n}`, 30);
      const short = await spaceCheck(options);
      expect(short.expected).toMatch(/^at least 8[.0]* TB free \(an hour of WAL\)$/);
      expect(short.ok).toBe(false);
    } finally {
      await rm(dataDirectory, { recursive: true });
    }
  });
});
