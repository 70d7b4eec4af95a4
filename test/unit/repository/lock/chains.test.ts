/** Locks and holds of incremental backups: all that one builds on is needed for as long as itself. */
import { beforeEach, describe, expect, it } from 'vitest';
import { IDENTITY_KEY, parseBackupId, type BackupId } from '../../../../src/repository/layout.ts';
import { holdBackup, releaseBackup } from '../../../../src/repository/lock/backup-hold.ts';
import { extendLocks } from '../../../../src/repository/lock/extend-locks.ts';
import { backupLocks, type KnownLocks } from '../../../../src/repository/lock/known-locks.ts';
import { lockReport } from '../../../../src/repository/lock/lock-report.ts';
import { readOverview } from '../../../../src/repository/overview.ts';
import { DAY, keyOf, LOCK, LockedArchive } from '../../../support/locked-archive.ts';

const { signal } = new AbortController();

let archive: LockedArchive;
let full: BackupId;
let first: BackupId;
let second: BackupId;
beforeEach(async () => {
  archive = new LockedArchive({ tells: true, retention: { windowMs: DAY, fullBackups: 1 } });
  await archive.putWal(0, 20);
  full = parseBackupId(await archive.putBackup(2)) as BackupId;
  archive.pass(1);
  first = parseBackupId(await archive.putBackup(6, undefined, full)) as BackupId;
  archive.pass(1);
  second = parseBackupId(await archive.putBackup(12, undefined, first)) as BackupId;
});

const objectsOf = (id: string): string[] =>
  ['backup.json', 'backup_manifest.zst', 'part-1.tar.zst', 'part-2.tar.zst'].map((name) => `backup/${id}/${name}`);
const options = { signal, jobs: 2, by: 'a test' };
const held = (): string[] =>
  [...archive.bucket.objects]
    .filter(([key, [version]]) => version?.hold === true && !key.startsWith('lock/'))
    .map(([key]) => key)
    .sort();

describe('a hold of an incremental backup', () => {
  it('holds the whole chain, and the WAL of the backup alone', async () => {
    await holdBackup(archive.repository, second, { ...options, clock: archive.clock });
    const chain = [full, first, second].flatMap(objectsOf);
    expect(held()).toEqual([...chain, keyOf(12), keyOf(13), IDENTITY_KEY].sort());
  });

  it('keeps what it builds on when that is released', async () => {
    await holdBackup(archive.repository, full, { ...options, clock: archive.clock });
    await holdBackup(archive.repository, first, { ...options, clock: archive.clock });
    await releaseBackup(archive.repository, full, { ...options, clock: archive.clock });
    expect(held()).toEqual([...objectsOf(full), ...objectsOf(first), keyOf(6), keyOf(7), IDENTITY_KEY].sort());
  });
});

describe('the locks of a chain', () => {
  it('are lengthened from its bottom up while its newest backup is needed', async () => {
    archive.pass(20);
    const { repository, clock } = archive;
    await extendLocks(repository, LOCK, { signal, jobs: 3, clock, by: 'a test', dryRun: false });
    const until = new Date(archive.bucket.now.getTime() + LOCK.periodMs).toISOString();
    for (const key of [full, first, second].flatMap(objectsOf))
      expect([key, archive.bucket.untilOf(key)]).toEqual([key, until]);
  });

  it('are short where one of a link is', async () => {
    archive.pass(14);
    const { repository, clock } = archive;
    const { backups, short } = await lockReport(repository, LOCK, { signal, jobs: 3, clock });
    expect(backups.map(({ ends }) => [ends.backup.id, ends.backup.parent])).toEqual([
      [full, undefined],
      [first, full],
      [second, first],
    ]);
    const objects = short.objects.map(({ object }) => object);
    for (const key of objectsOf(full)) expect(objects).toContain(key);
  });

  it('reach as far as --keep of a link asks, all the way down: short until they do, and then lengthened', async () => {
    const keep = '2026-08-01T00:00:00.000Z';
    archive.pass(1);
    const kept = parseBackupId(await archive.putBackup(14, keep, second)) as BackupId;
    for (const segno of [16, 18]) {
      archive.pass(1);
      await archive.putBackup(segno);
    }
    const { repository, clock } = archive;
    const chain = [full, first, second].flatMap(objectsOf);
    const shortOnes = async (): Promise<string[]> => {
      const { short } = await lockReport(repository, LOCK, { signal, jobs: 3, clock });
      return short.objects.map(({ object }) => object);
    };
    expect(await shortOnes()).toEqual(expect.arrayContaining(chain));
    await extendLocks(repository, LOCK, { signal, jobs: 3, clock, by: 'a test', dryRun: false });
    for (const key of [...chain, ...objectsOf(kept)]) expect([key, archive.bucket.untilOf(key)]).toEqual([key, keep]);
    expect(await shortOnes()).toEqual([]);
  });

  it('end with the first of a link', async () => {
    const overview = await readOverview([archive.repository], { signal, jobs: 2 });
    const known: KnownLocks = { repository: archive.repository, now: archive.bucket.now.getTime(), claims: new Map() };
    const until = backupLocks(overview, [known]);
    expect([until(full), until(second)]).toEqual([new Date('2026-07-01T00:00:00Z'), new Date('2026-07-01T00:00:00Z')]);
    expect(backupLocks({ backups: overview.backups.slice(1) }, [known])(second)).toBeUndefined();
  });
});
