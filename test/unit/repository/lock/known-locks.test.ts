import { describe, expect, it } from 'vitest';
import { extendLocks } from '../../../../src/repository/lock/extend-locks.ts';
import { backupLocks, nextLockExpiry, readKnownLocks } from '../../../../src/repository/lock/known-locks.ts';
import { readOverview } from '../../../../src/repository/overview.ts';
import { DAY, LOCK, LockedArchive } from '../../../support/locked-archive.ts';

const { signal } = new AbortController();

async function known(
  archive: LockedArchive,
): Promise<{ until: (id: string) => string | undefined; next: string | undefined }> {
  const overview = await readOverview([archive.repository], { signal, jobs: 2 });
  archive.bucket.forget();
  const locks = await readKnownLocks(overview, { signal, clock: archive.clock });
  const lockedUntil = backupLocks(overview, locks);
  const next = await nextLockExpiry(overview, locks, { signal });
  return { until: (id) => lockedUntil(id)?.toISOString(), next: next?.toISOString() };
}

async function stored(): Promise<{ archive: LockedArchive; one: string; two: string }> {
  const archive = new LockedArchive({ tells: false, retention: { windowMs: 5 * DAY, fullBackups: 1 } });
  const one = await archive.putBackup(4);
  await archive.putWal(0, 21);
  archive.pass(10);
  const two = await archive.putBackup(16);
  archive.pass(4);
  return { archive, one, two };
}

describe('locks as far as they are known', () => {
  it('are a period from the storing without a record, and what the record says with one', async () => {
    const { archive, one, two } = await stored();
    const before = await known(archive);
    expect([before.until(one), before.until(two)]).toEqual(['2026-07-01T00:00:00.000Z', '2026-07-11T00:00:00.000Z']);
    archive.pass(4);
    const { repository, clock } = archive;
    await extendLocks(repository, LOCK, { signal, jobs: 2, clock, by: 'a test', dryRun: false });
    const after = await known(archive);
    expect([after.until(one), after.until(two)]).toEqual(['2026-07-01T00:00:00.000Z', '2026-07-11T00:00:00.000Z']);
    archive.pass(20);
    await extendLocks(repository, LOCK, { signal, jobs: 2, clock, by: 'a test', dryRun: false });
    const late = await known(archive);
    expect([late.until(one), late.until(two)]).toEqual([undefined, '2026-08-08T00:00:00.000Z']);
  });

  it('cost a handful of requests, however much is stored', async () => {
    const { archive } = await stored();
    await archive.putWal(22, 400);
    const { repository, clock } = archive;
    await extendLocks(repository, LOCK, { signal, jobs: 2, clock, by: 'a test', dryRun: false });
    await known(archive);
    expect(archive.bucket.counts).toMatchObject({ list: 1, open: 1, stat: 1, look: 0 });
  });

  it('tell the first lock to end among what is needed', async () => {
    const { archive } = await stored();
    expect((await known(archive)).next).toBe('2026-07-01T00:00:00.000Z');
    // The first backup's turn is over, its WAL is not needed; the identity and the WAL of the second are from the first day.
    archive.pass(20);
    const { repository, clock } = archive;
    await extendLocks(repository, LOCK, { signal, jobs: 2, clock, by: 'a test', dryRun: false });
    expect((await known(archive)).next).toBe('2026-08-04T00:00:00.000Z');
  });

  it('are none where nothing locks', async () => {
    const { archive, one } = await stored();
    Object.assign(archive.repository, { lock: undefined });
    const nothing = await known(archive);
    expect([nothing.until(one), nothing.next]).toEqual([undefined, undefined]);
    expect(archive.bucket.requests).toEqual([]);
  });
});
