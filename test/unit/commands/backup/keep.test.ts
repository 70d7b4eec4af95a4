import { describe, expect, it } from 'vitest';
import { keepUntil, parseKeep, tellOfParents, withLongerLocks } from '../../../../src/commands/backup/keep.ts';
import { SILENT, type Log } from '../../../../src/base/log.ts';
import type { RepositoryConfig } from '../../../../src/config/config.ts';
import { formatBackupRecord } from '../../../../src/repository/backup-record-format.ts';
import { parseBackupRecord } from '../../../../src/repository/backup-record-parse.ts';
import { FileRepository } from '../../../support/file-repository.ts';
import { inSegment, putBackup } from '../../../support/stored-backup.ts';

const DAY = 86_400_000;
const NOW = Date.UTC(2026, 10, 22);

const place = (lock: RepositoryConfig['lock']): RepositoryConfig => ({
  number: 1,
  url: 'file:///x',
  store: { scheme: 'file', path: '/x' },
  lock,
  retention: { windowMs: undefined, fullBackups: 2 },
});
const periodWith = (lock: RepositoryConfig['lock'], keep: string): number | undefined =>
  withLongerLocks({ repositories: [place(lock)] }, parseKeep(keep)).repositories[0].lock?.periodMs;

describe('--keep', () => {
  it('is a time, or for ever', () => {
    expect(keepUntil(parseKeep('90d'), NOW)).toBe('2027-02-20T00:00:00.000Z');
    expect(keepUntil(parseKeep('forever'), NOW)).toBe('forever');
    expect(keepUntil(parseKeep('3000000d'), NOW)).toBe('9999-12-31T23:59:59.000Z');
    expect(keepUntil(undefined, NOW)).toBeUndefined();
  });

  it("makes the backup's own locks longer, never shorter, and not beyond lock_max", () => {
    const lock = { mode: 'governance' as const, periodMs: 30 * DAY, maxMs: 365 * DAY };
    expect(periodWith(lock, '90d')).toBe(90 * DAY);
    expect(periodWith(lock, '7d')).toBe(30 * DAY);
    expect(periodWith(lock, 'forever')).toBe(365 * DAY);
    expect(periodWith(undefined, '90d')).toBeUndefined();
    expect(periodWith({ ...lock, mode: 'bucket' }, '90d')).toBe(30 * DAY);
  });

  it('warns of the locks of what an incremental backup builds on, where there are locks', () => {
    const warnings: string[] = [];
    const log: Log = { ...SILENT, warning: (message) => void warnings.push(message) };
    tellOfParents(log, { repositories: [place(undefined)] }, parseKeep('90d'), '20261122T174500Z-full');
    expect(warnings).toEqual([]);
    const lock = { mode: 'governance' as const, periodMs: 30 * DAY, maxMs: 365 * DAY };
    tellOfParents(log, { repositories: [place(undefined), place(lock)] }, parseKeep('90d'), '20261122T174500Z-full');
    expect(warnings).toEqual([expect.stringContaining('20261122T174500Z-full, which this backup builds on')]);
  });

  it.each(['2027-02-20T00:00:00.000Z', 'forever', undefined])(
    'is read from backup.json as written: %s',
    async (keep) => {
      await using stored = await FileRepository.create();
      const record = await putBackup(stored, { startLsn: inSegment(3), stopLsn: inSegment(4) });
      const written = formatBackupRecord({ ...record, keepUntil: keep });
      expect(parseBackupRecord(written, record.id, 'backup.json').keepUntil).toBe(keep);
    },
  );

  it('is refused in backup.json as anything else', async () => {
    await using stored = await FileRepository.create();
    const record = await putBackup(stored, { startLsn: inSegment(3), stopLsn: inSegment(4) });
    const written = formatBackupRecord({ ...record, keepUntil: 'for a while' });
    expect(() => parseBackupRecord(written, record.id, 'backup.json')).toThrow(/could not trust/);
  });
});
