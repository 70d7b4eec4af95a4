import { describe, expect, it } from 'vitest';
import { WalholdError } from '../../../../src/base/errors.ts';
import { extendLocks, type ExtendReport } from '../../../../src/repository/lock/extend-locks.ts';
import { formatLockRecord, parseLockRecord } from '../../../../src/repository/lock/lock-record.ts';
import { IDENTITY_KEY } from '../../../../src/repository/layout.ts';
import { SYSTEM_ID } from '../../../support/file-repository.ts';
import { DAY, keyOf, LOCK, LockedArchive, SEGMENT } from '../../../support/locked-archive.ts';

const { signal } = new AbortController();

async function extend(archive: LockedArchive, more: { dryRun?: boolean } = {}): Promise<ExtendReport> {
  archive.bucket.forget();
  const { repository, clock } = archive;
  return await extendLocks(repository, LOCK, { signal, jobs: 3, clock, by: 'a test', dryRun: false, ...more });
}

/** Three backups, the first of them superseded; everything stored on the first day. */
async function threeBackups(options: ConstructorParameters<typeof LockedArchive>[0] = {}): Promise<LockedArchive> {
  const archive = new LockedArchive({ retention: { windowMs: 20 * DAY, fullBackups: 2 }, ...options });
  await archive.putWal(0, 41);
  for (const segno of [4, 16, 32]) {
    await archive.putBackup(segno);
    archive.pass(1);
  }
  return archive;
}

const recordKeys = (archive: LockedArchive): string[] =>
  [...archive.bucket.objects.keys()].filter((key) => /^lock\/[^/]+\.json$/.test(key));

describe.each([{ tells: true }, { tells: false }])('extend, where listings tell locks: $tells', ({ tells }) => {
  it('touches nothing that is locked for half a period, and records what it saw', async () => {
    const archive = await threeBackups({ tells });
    const report = await extend(archive);
    expect(report).toMatchObject({ failureCount: 0, byRecord: { directories: 0 } });
    expect(report.extended.objects).toBe(0);
    expect(archive.bucket.counts).toMatchObject({ retain: 0, hold: 0 });
    expect(recordKeys(archive)).toEqual([report.record]);
    expect(archive.bucket.counts.look === 0).toBe(tells);
  });

  it('lengthens by a period what is needed and ends within half a period, and leaves what nobody needs', async () => {
    const archive = await threeBackups({ tells });
    archive.pass(14);
    const report = await extend(archive);
    const now = archive.bucket.now.getTime();
    const period = new Date(now + LOCK.periodMs).toISOString();
    expect(archive.bucket.untilOf(keyOf(41))).toBe(period);
    expect(archive.bucket.untilOf(keyOf(17))).toBe(period);
    expect(archive.bucket.untilOf(IDENTITY_KEY)).toBe(period);
    // The first backup is needed until the second ended and a window more; it is locked for longer.
    expect(archive.bucket.untilOf(keyOf(9))).toBe('2026-07-01T00:00:00.000Z');
    expect(archive.bucket.untilOf(keyOf(1))).toBe('2026-07-01T00:00:00.000Z');
    expect(report.failureCount).toBe(0);
    expect(report.extended.objects).toBeGreaterThan(30);
  });

  it('sets a known end exactly, once', async () => {
    const archive = await threeBackups({ tells, lock: { ...LOCK, periodMs: 20 * DAY } });
    // Locked until the 21st of June; needed until the second backup's stop on the 2nd and 20 days more.
    await extend(archive);
    expect(archive.bucket.untilOf(keyOf(9))).toBe('2026-06-22T00:00:00.000Z');
    archive.pass(1);
    await extend(archive);
    expect(archive.bucket.requests.filter((one) => one.startsWith(`retain ${keyOf(9)}`))).toEqual([]);
  });

  it('asks for nothing again that the record has, but for the slice of the day', async () => {
    const archive = await threeBackups({ tells });
    const first = await extend(archive);
    const asked: number[] = [];
    for (let day = 0; day < 8; day += 1) {
      const again = await extend(archive);
      expect(again.contradiction).toBeUndefined();
      expect(again.extended.objects).toBe(0);
      expect(again.record).toBeUndefined();
      asked.push(again.byRecord.directories);
      archive.pass(1);
    }
    // Ten full log directories (the last one is not) and three backups, less two logs that nobody needs any more … less the day's slice.
    expect(Math.max(...asked)).toBe(12);
    expect(first.byRecord.directories).toBe(0);
  });

  it('asks for all of what a record claims within thirty days', async () => {
    const archive = await threeBackups({ tells, lock: { ...LOCK, periodMs: 90 * DAY } });
    await extend(archive);
    const listed = new Set<string>();
    for (let day = 0; day < 30; day += 1) {
      await extend(archive);
      for (const request of archive.bucket.requests) if (request.startsWith('list ')) listed.add(request);
      archive.pass(1);
    }
    for (let log = 1; log <= 9; log += 1)
      expect(listed).toContain(`list ${keyOf(log * 4).slice(0, 29)}/`.replace('//', '/'));
  });

  it('believes no record when the store says otherwise of one directory', async () => {
    const archive = await threeBackups({ tells });
    const { record } = await extend(archive);
    const stored = parseLockRecord(archive.bucket.objects.get(record ?? '')?.[0]?.bytes ?? Buffer.alloc(0), 'record');
    // A forged one, newer: everything is locked for years.
    archive.pass(13.5);
    const forged = new Date('2030-01-01T00:00:00Z');
    const claims = new Map(
      [...stored.claims].map(([key, claim]) => [key, { ...claim, until: forged, latest: forged }]),
    );
    const at = archive.bucket.now;
    const key = `lock/${at.toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z.json`;
    await archive.bucket.put(
      key,
      formatLockRecord({ systemId: SYSTEM_ID, at, by: 'x', segmentBytes: SEGMENT, claims }),
    );
    let caught: ExtendReport | undefined;
    for (let day = 0; day < 30 && caught === undefined; day += 1) {
      const report = await extend(archive);
      if (report.contradiction !== undefined) caught = report;
      else expect(report.byRecord.directories).toBeGreaterThan(0);
      archive.pass(0.05);
      if (day % 20 === 19) archive.pass(1);
    }
    // By then runs that believed it have handed its claims on.
    expect(caught?.contradiction?.directory).toMatch(/^(?:wal|backup)\//);
    expect(caught?.byRecord.directories).toBe(0);
    expect(caught?.record).toBeDefined();
    const remaining = Date.parse(archive.bucket.untilOf(keyOf(41)) ?? '') - archive.bucket.now.getTime();
    expect(remaining).toBeGreaterThan(LOCK.periodMs / 2);
  });

  it.each([
    ['comes from the future', 400, 'the future'],
    ['is of another cluster', 0, 'another cluster or time'],
    ['is under the name of another time', 0.5, 'another cluster or time'],
    ['is no record', 0, 'its last line is not its digest'],
  ])('passes over a newer record that %s', async (kind, later, reason) => {
    const archive = await threeBackups({ tells });
    await extend(archive);
    archive.pass(1);
    const at = new Date(archive.bucket.now.getTime() + later * DAY);
    const named = kind.includes('another time') ? archive.bucket.now : at;
    const key = `lock/${named.toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z.json`;
    const systemId = kind.includes('cluster') ? 1n : SYSTEM_ID;
    const record = formatLockRecord({ systemId, at, by: 'x', segmentBytes: SEGMENT, claims: new Map() });
    await archive.bucket.put(key, kind.includes('no record') ? 'junk' : record);
    const { survey, byRecord } = await extend(archive);
    expect(survey.records.bad).toMatchObject([{ key, reason: expect.stringContaining(reason) as string }]);
    expect(byRecord.directories).toBeGreaterThan(9);
  });

  it('says what it would do without doing it', async () => {
    const archive = await threeBackups({ tells });
    archive.pass(14);
    const dry = await extend(archive, { dryRun: true });
    expect(archive.bucket.counts).toMatchObject({ retain: 0, create: 0 });
    expect(dry.record).toBeUndefined();
    const real = await extend(archive);
    expect(dry.extended.objects).toBe(real.extended.objects);
    expect(dry.extended.earliest).toBe(real.extended.earliest);
  });

  it('names what stays short, goes on, and does not record it', async () => {
    const archive = await threeBackups({ tells });
    archive.pass(14);
    archive.bucket.fault = (request) =>
      request.startsWith(`retain ${keyOf(33)}`) ? new WalholdError('denied', 'could not lock it') : undefined;
    const report = await extend(archive);
    expect(report.failures).toEqual([{ object: keyOf(33), message: 'could not lock it' }]);
    expect(archive.bucket.untilOf(keyOf(34))).toBe(
      new Date(archive.bucket.now.getTime() + LOCK.periodMs).toISOString(),
    );
    archive.bucket.fault = () => undefined;
    const again = await extend(archive);
    expect(again.failureCount).toBe(0);
    expect(archive.bucket.untilOf(keyOf(33))).toBe(
      new Date(archive.bucket.now.getTime() + LOCK.periodMs).toISOString(),
    );
  });

  it('never weakens compliance, and makes governance compliance where that is asked for', async () => {
    const archive = await threeBackups({ tells });
    const weak = archive.bucket.objects.get(keyOf(33))?.[0];
    if (weak?.retention !== undefined) weak.retention = { ...weak.retention, mode: 'governance' };
    const report = await extend(archive);
    expect(report.extended.objects).toBe(1);
    expect(weak?.retention?.mode).toBe('compliance');
    expect(weak?.retention?.until.getTime()).toBeGreaterThan(archive.bucket.now.getTime() + LOCK.periodMs / 2);
  });

  it('locks every version that may be ours where somebody has put another one beside it', async () => {
    const archive = await threeBackups({ tells });
    await archive.bucket.put(keyOf(33), 'junk', { retention: undefined });
    archive.pass(14);
    const report = await extend(archive);
    expect(report.failureCount).toBe(0);
    const untils = archive.bucket.objects.get(keyOf(33))?.map(({ retention }) => retention?.until.toISOString());
    const period = new Date(archive.bucket.now.getTime() + LOCK.periodMs).toISOString();
    expect(untils).toEqual([period, period]);
  });

  it('keeps a backup with what makes it consistent for as long as it says, as far as may be', async () => {
    const archive = new LockedArchive({ tells, retention: { windowMs: 20 * DAY, fullBackups: 1 } });
    await archive.putWal(0, 41);
    const kept = await archive.putBackup(4, '2026-08-01T00:00:00.000Z');
    archive.pass(1);
    await archive.putBackup(20);
    archive.pass(1);
    await archive.putBackup(32);
    await extend(archive);
    expect(archive.bucket.untilOf(`backup/${kept}/backup.json`)).toBe('2026-08-01T00:00:00.000Z');
    expect(archive.bucket.untilOf(keyOf(4))).toBe('2026-08-01T00:00:00.000Z');
    expect(archive.bucket.untilOf(keyOf(12))).toBe('2026-07-01T00:00:00.000Z');
  });

  it('gives up when a thousand are refused and none is not', async () => {
    const archive = new LockedArchive({ tells });
    await archive.putWal(0, 1200);
    await archive.putBackup(4);
    archive.pass(20);
    archive.bucket.fault = (request) =>
      request.startsWith('retain') ? new WalholdError('denied', 'may not lock') : undefined;
    await expect(extend(archive)).rejects.toMatchObject({ code: 'denied', message: /could not lengthen any lock/ });
    expect(archive.bucket.counts.retain).toBeLessThan(1010);
  });
});

describe('extend by root, on files', () => {
  /** Files as `store/file-locks.ts` has them: listings show mode and date; `look` shows the attribute too, where there is one. */
  async function files(hasAttribute: boolean): Promise<{ archive: LockedArchive; immutable: Set<string> }> {
    const archive = await threeBackups({ tells: true });
    const immutable = new Set<string>();
    for (const versions of archive.bucket.objects.values()) {
      for (const one of versions)
        if (one.retention !== undefined) one.retention = { ...one.retention, mode: 'read-only' };
    }
    const { locks } = archive.bucket.store;
    if (locks === undefined) throw new Error('it has locks');
    const look = locks.look.bind(locks);
    const retain = locks.retain.bind(locks);
    Object.assign(locks, {
      look: async (...[key, options]: Parameters<typeof look>) => {
        const told = await look(key, options);
        if (told?.retention === undefined || !immutable.has(key)) return told;
        return { ...told, retention: { ...told.retention, mode: 'immutable' } };
      },
      retain: async (...[key, { until }, options]: Parameters<typeof retain>) => {
        const kept = archive.bucket.objects.get(key)?.[0];
        await retain(key, { mode: 'governance', until }, options);
        if (kept !== undefined) kept.retention = { mode: 'read-only', until };
        if (hasAttribute) immutable.add(key);
        return { mode: hasAttribute ? 'immutable' : 'read-only', until };
      },
    });
    return { archive, immutable };
  }

  const asRoot = async ({ repository, clock }: LockedArchive): Promise<ExtendReport> =>
    await extendLocks(
      repository,
      { ...LOCK, attribute: true },
      { signal, jobs: 3, clock, by: 'a test', dryRun: false },
    );

  it('sets the immutable attribute on what is needed, once', async () => {
    const { archive, immutable } = await files(true);
    const report = await asRoot(archive);
    expect(report.failureCount).toBe(0);
    expect(immutable).toContain(IDENTITY_KEY);
    expect(immutable).toContain(keyOf(41));
    const { size } = immutable;
    expect(report.extended.objects).toBe(size);
    const again = await asRoot(archive);
    expect(again).toMatchObject({ failureCount: 0, contradiction: undefined });
    expect(again.extended.objects).toBe(0);
    expect(again.byRecord.directories).toBeGreaterThan(9);
    const asOwner = await extend(archive);
    expect(asOwner.contradiction).toBeUndefined();
  });

  it('does with mode and date where there is no such attribute, and tries on one file alone', async () => {
    const { archive } = await files(false);
    for (let run = 0; run < 2; run += 1) {
      archive.bucket.forget();
      const report = await asRoot(archive);
      expect(report.failureCount).toBe(0);
      expect(archive.bucket.counts.retain).toBe(1);
    }
  });
});
