import { describe, expect, it } from 'vitest';
import { extendLocks } from '../../../../src/repository/lock/extend-locks.ts';
import { lockReport, type LockReport } from '../../../../src/repository/lock/lock-report.ts';
import { DAY, keyOf, LOCK, LockedArchive } from '../../../support/locked-archive.ts';

const { signal } = new AbortController();

async function report(archive: LockedArchive): Promise<LockReport> {
  archive.bucket.forget();
  const { repository, clock } = archive;
  return await lockReport(repository, repository.lock, { signal, jobs: 3, clock });
}

async function extend(archive: LockedArchive): Promise<void> {
  const { repository, clock } = archive;
  await extendLocks(repository, LOCK, { signal, jobs: 3, clock, by: 'a test', dryRun: false });
}

async function archiveOf(tells: boolean): Promise<{ archive: LockedArchive; backups: string[] }> {
  const archive = new LockedArchive({ tells, retention: { windowMs: 10 * DAY, fullBackups: 1 } });
  await archive.putWal(0, 41);
  const backups: string[] = [];
  for (const segno of [4, 16, 32]) {
    backups.push(await archive.putBackup(segno));
    archive.pass(1);
  }
  return { archive, backups };
}

describe.each([{ tells: true }, { tells: false }])('the report, where listings tell locks: $tells', ({ tells }) => {
  it('counts objects, modes and ends by class and by backup', async () => {
    const { archive, backups } = await archiveOf(tells);
    await archive.bucket.put('junk.txt', 'x', { retention: undefined });
    const { classes, ...rest } = await report(archive);
    expect(classes.wal).toMatchObject({ objects: 42, modes: new Map([['compliance', 42]]), held: 0 });
    expect(classes.wal.earliest).toBe(Date.parse('2026-07-01T00:00:00Z'));
    expect(classes).toMatchObject({ identity: { objects: 1 }, history: { objects: 0 }, backup: { objects: 12 } });
    expect(classes.other.objects).toBe(1);
    expect(rest.backups.map(({ ends, tally }) => [ends.backup.id, tally.objects])).toEqual(
      backups.map((id) => [id, 4]),
    );
    expect(rest.short).toEqual({ count: 0, objects: [] });
    expect(rest.contradictions).toEqual([]);
  });

  it('names what is needed and not locked long enough', async () => {
    const { archive, backups } = await archiveOf(tells);
    archive.pass(15);
    const { short } = await report(archive);
    // The newest backup with its WAL, and the identity; the others' turns are over or end before their locks.
    expect(short.count).toBe(4 + 10 + 1);
    expect(short.objects).toContainEqual({
      object: keyOf(33),
      objects: 1,
      lockedUntil: new Date('2026-07-01T00:00:00Z'),
      neededUntil: new Date(archive.bucket.now.getTime() + LOCK.periodMs / 2),
    });
    expect(short.objects.map(({ object }) => object)).toContain(`backup/${backups[2]}/backup.json`);
    await extend(archive);
    expect((await report(archive)).short.count).toBe(0);
  });

  it('says of a held backup that it is', async () => {
    const { archive, backups } = await archiveOf(tells);
    await archive.bucket.put(`lock/hold/${backups[1]}.json`, '{}', { hold: true });
    await archive.bucket.put(`lock/hold/${backups[2]}.json`, '{}');
    expect((await report(archive)).backups.map(({ held }) => held)).toEqual([false, true, false]);
  });

  it('notices an object that is locked for less than the record or its age says, within a month', async () => {
    const { archive } = await archiveOf(tells);
    await extend(archive);
    const object = archive.bucket.objects.get(keyOf(33))?.[0];
    if (object !== undefined) object.retention = { mode: 'compliance', until: new Date('2026-06-20T00:00:00Z') };
    const found = new Set<string>();
    for (let day = 0; day < 30; day += 1) {
      for (const one of (await report(archive)).contradictions) found.add(one);
      archive.bucket.now = new Date(archive.bucket.now.getTime() + DAY);
      // Locks go on being lengthened, so that only this one is short.
      for (const [key, [one]] of archive.bucket.objects) {
        if (one?.retention !== undefined && key !== keyOf(33)) {
          one.retention = { mode: 'compliance', until: new Date(archive.bucket.now.getTime() + 30 * DAY) };
        }
      }
    }
    expect([...found]).toEqual(['wal/00000001/0000000100000008/']);
  });
});

describe('the report, where listings do not tell locks', () => {
  it('asks for about a thousand objects of many, and lists nothing that the record has', async () => {
    const { archive } = await archiveOf(false);
    await archive.putWal(42, 20_000);
    await extend(archive);
    const { classes, proof } = await report(archive);
    expect(classes.wal.objects).toBe(20_001);
    expect(proof.byStore + proof.byRecord + proof.byAge).toBeGreaterThan(20_000);
    expect(proof.byStore).toBeGreaterThan(300);
    expect(archive.bucket.counts.look).toBeLessThan(1600);
    expect(archive.bucket.counts.list).toBeLessThan(300);
  });

  it('asks for everything as long as nothing vouches for it and it is not much', async () => {
    const { archive } = await archiveOf(false);
    const { repository, clock } = archive;
    // The settings say more than what was locked at the time.
    const rule = { ...LOCK, periodMs: 90 * DAY };
    const { short, proof } = await lockReport(repository, rule, { signal, jobs: 3, clock });
    expect(proof).toMatchObject({ byAge: 0, byRecord: 0 });
    expect(short.count).toBe(4 + 10 + 1);
  });

  it('says that age is nothing to go by when those asked for belie it', async () => {
    const { archive } = await archiveOf(false);
    await archive.putWal(42, 20_000);
    const { repository, clock } = archive;
    const rule = { ...LOCK, periodMs: 90 * DAY };
    const { proof } = await lockReport(repository, rule, { signal, jobs: 3, clock });
    expect(proof.belied).toBeGreaterThan(500);
    expect(proof.byAge).toBeGreaterThan(15_000);
  });

  it('finds nothing short where no locks are asked for', async () => {
    const archive = new LockedArchive({ tells: false });
    await archive.putWal(0, 9);
    await archive.putBackup(4);
    const { repository, clock } = archive;
    const { classes, short } = await lockReport(repository, undefined, { signal, jobs: 2, clock });
    expect(classes.wal).toMatchObject({ objects: 10, modes: new Map([['compliance', 10]]) });
    expect(short.count).toBe(0);
  });
});
