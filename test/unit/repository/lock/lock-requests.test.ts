import { beforeAll, describe, expect, it } from 'vitest';
import { lsn } from '../../../../src/postgres/lsn.ts';
import { timelineId } from '../../../../src/postgres/timeline.ts';
import { segmentName } from '../../../../src/postgres/wal-name.ts';
import { backupPrefix, logPrefix, parseBackupId, type BackupId } from '../../../../src/repository/layout.ts';
import { extendLocks, type ExtendReport } from '../../../../src/repository/lock/extend-locks.ts';
import { lockReport } from '../../../../src/repository/lock/lock-report.ts';
import { isTodays } from '../../../../src/repository/lock/slice.ts';
import { DAY, LOCK, LockedArchive } from '../../../support/locked-archive.ts';
import { putBackup } from '../../../support/stored-backup.ts';

const { signal } = new AbortController();
const MIB16 = 16 * 1024 * 1024;
const SEGMENTS = 50_000;
const BACKUPS = 200;
const OBJECTS_OF_A_BACKUP = 4;

/** A bucket that lists without locks, as S3 does: 50,000 segments of 16 MB, and backups evenly among them. */
async function makeArchive(): Promise<{ archive: LockedArchive; directories: string[] }> {
  const archive = new LockedArchive({ tells: false });
  const directories = new Set<string>();
  for (let segno = 0; segno < SEGMENTS; segno += 1) {
    const name = segmentName(timelineId(1), BigInt(segno), MIB16);
    directories.add(logPrefix(name));
    await archive.bucket.put(`${logPrefix(name)}${name}.zst`, 'x');
  }
  for (let n = 0; n < BACKUPS; n += 1) {
    const at = new Date(archive.bucket.now.getTime() - (BACKUPS - n) * 3_600_000);
    const id = `${at.toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z-full`;
    const startLsn = lsn(BigInt(Math.floor((n * SEGMENTS) / BACKUPS)) * BigInt(MIB16) + 40n);
    const range = { startLsn, stopLsn: lsn(startLsn + 4000n), segmentBytes: MIB16 };
    await putBackup(archive.bucket, { id, ...range, stoppedAt: at.toISOString() });
    directories.add(backupPrefix(parseBackupId(id) as BackupId));
  }
  return { archive, directories: [...directories] };
}

let archive: LockedArchive;
let directories: string[];
beforeAll(async () => {
  ({ archive, directories } = await makeArchive());
});

async function extend(): Promise<ExtendReport> {
  archive.bucket.forget();
  const { repository, clock } = archive;
  return await extendLocks(repository, LOCK, { signal, jobs: 8, clock, by: 'a test', dryRun: false });
}

/** The whole repository's names, the records of backups, and the record. */
const NAMES = { list: 5, open: 1 + BACKUPS + 1 };

describe('requests for 50,000 objects of which listings do not tell the locks', () => {
  it('are one for each object, and one listing for each directory, in the first run alone', async () => {
    const report = await extend();
    expect(report.extended.objects).toBe(0);
    // The identity is an object, and belongs to no directory.
    expect(archive.bucket.counts).toMatchObject({
      list: NAMES.list + directories.length,
      open: NAMES.open - 1,
      look: SEGMENTS + BACKUPS * OBJECTS_OF_A_BACKUP + 1,
      retain: 0,
      create: 1,
    });
  });

  it("are later those of the day's slice and of the directory that is not full yet", async () => {
    for (let day = 0; day < 3; day += 1) {
      await extend();
      const now = archive.bucket.now.getTime();
      const tail = directories.findLast((prefix) => prefix.startsWith('wal/')) ?? '';
      const asked = new Set([tail, ...directories.filter((prefix) => isTodays(prefix, now))]);
      expect(archive.bucket.counts).toMatchObject({
        list: NAMES.list + asked.size,
        open: NAMES.open,
        retain: 0,
        create: 0,
      });
      expect(archive.bucket.counts.look).toBeLessThan((SEGMENTS * 2) / 30);
      archive.bucket.now = new Date(now + DAY);
    }
  });

  it('are in a report some hundred to a thousand for single objects, and listings of the slice', async () => {
    archive.bucket.forget();
    const { repository, clock } = archive;
    const { classes, proof } = await lockReport(repository, LOCK, { signal, jobs: 8, clock });
    expect(classes.wal.objects).toBe(SEGMENTS);
    expect(proof.byRecord).toBeGreaterThan(SEGMENTS * 0.9);
    expect(archive.bucket.counts.list).toBeLessThan(40);
    expect(archive.bucket.counts.look).toBeLessThan(1600);
  });
});
