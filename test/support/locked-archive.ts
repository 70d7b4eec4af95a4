import { lsn } from '../../src/postgres/lsn.ts';
import { timelineId } from '../../src/postgres/timeline.ts';
import { segmentName } from '../../src/postgres/wal-name.ts';
import { formatIdentity } from '../../src/repository/identity.ts';
import { backupId, IDENTITY_KEY, logPrefix, type BackupId } from '../../src/repository/layout.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { SYSTEM_ID } from './file-repository.ts';
import type { LockRule } from '../../src/repository/lock/lock-rule.ts';
import { LockableBucket, type LockableOptions } from './lockable-bucket.ts';
import { putBackup } from './stored-backup.ts';

export const HOUR: number = 3_600_000;
export const DAY: number = 24 * HOUR;
/** Four to a log directory. */
export const SEGMENT: number = 1024 ** 3;

/** Settings as they come from the configuration. */
export const LOCK: LockRule = { mode: 'compliance', periodMs: 30 * DAY, maxMs: 100 * DAY };

/** An archive in a bucket that locks: WAL from segment 0 on, and backups, all stored and locked at the moments given. */
export class LockedArchive {
  readonly bucket: LockableBucket;
  readonly repository: Repository;

  constructor(
    options: Partial<Omit<LockableOptions, 'lock'>> & Partial<Pick<Repository, 'lock' | 'retention'>> = {},
    now: Date = new Date('2026-06-01T00:00:00Z'),
  ) {
    const { lock = LOCK, retention = { windowMs: undefined, fullBackups: 2 }, ...bucket } = options;
    const { mode, periodMs } = lock;
    this.bucket = new LockableBucket(
      { tells: false, ...(mode === 'bucket' ? {} : { lock: { mode, periodMs } }), ...bucket },
      now,
    );
    const { store, strangers } = this.bucket;
    const settings = { scheme: 's3' as const, bucket: 'bucket', prefix: 'main' };
    this.repository = { number: 1, url: store.url, settings, lock, retention, strangers, store };
    const identity = { format: 1 as const, systemId: SYSTEM_ID, createdAt: now.toISOString(), by: 'a test' };
    void this.bucket.put(IDENTITY_KEY, formatIdentity(identity));
  }

  get clock(): { now(): number; sleep(): Promise<void> } {
    return { now: () => this.bucket.now.getTime(), sleep: () => Promise.resolve() };
  }

  /** Lets days pass. */
  pass(days: number): void {
    this.bucket.now = new Date(this.bucket.now.getTime() + days * DAY);
  }

  /** Segments by number, both included. */
  async putWal(first: number, last: number, timeline = 1): Promise<void> {
    for (let segno = first; segno <= last; segno += 1)
      await this.bucket.put(keyOf(segno, timeline), `segment ${segno}`);
  }

  /** A backup that began in this segment and ended in the next one, now: a full one, or one that builds on `parent`. */
  async putBackup(segno: number, keepUntil?: string, parent?: BackupId): Promise<string> {
    const { now } = this.bucket;
    const type = parent === undefined ? 'full' : 'incremental';
    const id = backupId(now, type);
    const startLsn = lsn(BigInt(segno) * BigInt(SEGMENT) + 40n);
    const options = { id, startLsn, stopLsn: lsn(startLsn + BigInt(SEGMENT)), segmentBytes: SEGMENT };
    await putBackup(this.bucket, { ...options, stoppedAt: now.toISOString() }, (record) =>
      keepUntil === undefined ? { ...record, type, parent } : { ...record, type, parent, keepUntil },
    );
    return id;
  }
}

export function keyOf(segno: number, timeline = 1): string {
  const name = segmentName(timelineId(timeline), BigInt(segno), SEGMENT);
  return `${logPrefix(name)}${name}.zst`;
}
