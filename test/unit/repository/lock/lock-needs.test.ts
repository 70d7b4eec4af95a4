import { describe, expect, it } from 'vitest';
import { lsn } from '../../../../src/postgres/lsn.ts';
import { parseHistory, rootHistory, timelinesOfSegment } from '../../../../src/postgres/timeline-history.ts';
import { timelineId, type TimelineId } from '../../../../src/postgres/timeline.ts';
import { segnoBefore, segnoOfLsn } from '../../../../src/postgres/wal-name.ts';
import { liesOn } from '../../../../src/repository/coverage.ts';
import {
  backupEnds,
  OPEN,
  type BackupEnds,
  type HistoryFacts,
  type NeededBackup,
  type Retention,
} from '../../../../src/repository/lock/kept-backups.ts';
import { walNeeds } from '../../../../src/repository/lock/wal-needs.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const SEGMENT = 1024 * 1024 * 1024;
const PER_LOG = 4;
const WEEK: Retention = { windowMs: 7 * DAY, fullBackups: 1 };

/** A backup that ended on this day after the start of time, and began in segment 10 × day, ending in the next one. */
function full(day: number, more: Partial<NeededBackup> = {}): NeededBackup {
  const start = BigInt(Math.round(day * 10)) * BigInt(SEGMENT) + 40n;
  return {
    id: `full-${String(day).padStart(4, '0')}`,
    type: 'full',
    parent: undefined,
    timeline: timelineId(1),
    startLsn: lsn(start),
    stopLsn: lsn(start + BigInt(SEGMENT)),
    stoppedAt: new Date(day * DAY),
    keep: undefined,
    ...more,
  };
}

function incremental(day: number, parent: NeededBackup): NeededBackup {
  return full(day, { id: `incr-${String(day).padStart(4, '0')}`, type: 'incremental', parent: parent.id });
}

/** `histories`: by timeline the file's text. `lastStored`: by timeline the day. */
function factsOf(histories: Record<number, string> = {}, lastStored: Record<number, number> = {}): HistoryFacts {
  const timelines = [1, ...Object.keys(histories).map(Number)].map(timelineId);
  return {
    timelines,
    historyOf: (timeline) =>
      histories[timeline] === undefined ? rootHistory(timeline) : parseHistory(timeline, histories[timeline]),
    lastStoredAt: (timeline) => (lastStored[timeline] === undefined ? undefined : lastStored[timeline] * DAY),
  };
}

function endsOf(backups: readonly NeededBackup[], retention: Retention, facts = factsOf()): Record<string, number> {
  return Object.fromEntries(
    backupEnds(backups, retention, facts).map(({ backup, objects }) => [backup.id, objects / DAY]),
  );
}

describe('the end of a backup', () => {
  it('is not known without a window', () => {
    expect(endsOf([full(1), full(2)], { windowMs: undefined, fullBackups: 1 })).toEqual({
      'full-0001': OPEN,
      'full-0002': OPEN,
    });
  });

  it('comes a window after the next newer backup ended, and is not known of the newest', () => {
    expect(endsOf([full(3), full(1), full(2)], WEEK)).toEqual({
      'full-0001': 9,
      'full-0002': 10,
      'full-0003': OPEN,
    });
  });

  it('is not known of the newest full backups and of the chains on them', () => {
    const [one, two, three] = [full(1), full(2), full(3)];
    const backups = [one, incremental(1.5, one), two, incremental(2.5, two), three];
    expect(endsOf(backups, { ...WEEK, fullBackups: 2 })).toEqual({
      'full-0001': 9,
      'incr-01.5': 9,
      'full-0002': OPEN,
      'incr-02.5': OPEN,
      'full-0003': OPEN,
    });
  });

  it('is that of the last backup in the chain', () => {
    const one = full(1);
    const first = incremental(2, one);
    const second = incremental(3, first);
    const ends = endsOf([one, first, second, full(4), full(5)], WEEK);
    expect(ends).toMatchObject({ 'full-0001': 11, 'incr-0002': 11, 'incr-0003': 11, 'full-0004': 12 });
  });

  it('is not brought about by a newer backup that nobody can restore', () => {
    const orphan = incremental(2, full(1.5));
    expect(endsOf([full(1), orphan, full(3)], WEEK)).toMatchObject({ 'full-0001': 10, 'incr-0002': 10 });
    expect(endsOf([full(1), orphan], WEEK)).toMatchObject({ 'full-0001': OPEN });
  });

  it('is as late as it is kept', () => {
    const kept = [full(1, { keep: 100 * DAY }), full(2, { keep: OPEN }), full(3, { keep: 4 * DAY }), full(4)];
    expect(endsOf(kept, WEEK)).toMatchObject({ 'full-0001': 100, 'full-0002': OPEN, 'full-0003': 11 });
  });

  it('on a branch that was left comes a window after the last WAL of the branch', () => {
    // Timeline 2 was begun by a recovery to day 1.2; timeline 1 went on until day 2.
    const facts = factsOf({ 2: `1\t3/10000000\treason\n` }, { 1: 2, 2: 9 });
    const backups = [full(1), full(5, { timeline: timelineId(2) }), full(6, { timeline: timelineId(2) })];
    expect(endsOf(backups, WEEK, facts)).toMatchObject({ 'full-0001': 12, 'full-0005': 13 });
    const late = factsOf({ 2: `1\t3/10000000\treason\n` }, { 1: 5.5, 2: 9 });
    expect(endsOf(backups, WEEK, late)).toMatchObject({ 'full-0001': 12.5 });
    const alive = factsOf({ 2: `1\t3/10000000\treason\n` }, { 1: 9, 2: 9 });
    expect(endsOf(backups, WEEK, alive)).toMatchObject({ 'full-0001': OPEN });
  });
});

describe('the end of WAL', () => {
  const now = 0;
  const logs = (backups: readonly NeededBackup[], retention: Retention, upTo: number, facts = factsOf()): number[] => {
    const needs = walNeeds(backupEnds(backups, retention, facts), facts, { segmentBytes: SEGMENT, now });
    return Array.from({ length: upTo + 1 }, (_, log) => (needs.endOf(timelineId(1), log) ?? -DAY) / DAY);
  };

  it('is that of the backup that serves it, and the open end that of the newest', () => {
    // Segments 10 to 21 go with the first, 20 to 31 with the second, 30 and on with the third: by directories of four.
    expect(logs([full(1), full(2), full(3)], WEEK, 9)).toEqual([-1, -1, 9, 9, 9, 10, 10, OPEN, OPEN, OPEN]);
  });

  it('does not go on with a backup that is only kept', () => {
    const backups = [full(1, { keep: OPEN }), full(4), full(5)];
    expect(logs(backups, WEEK, 6)).toEqual([-1, -1, OPEN, 11, 11, 11, 11]);
  });

  it('is nothing before the oldest backup that is still needed', () => {
    const facts = factsOf();
    const ends = backupEnds([full(1), full(20), full(21)], WEEK, facts);
    const needs = walNeeds(ends, facts, { segmentBytes: SEGMENT, now: 28 * DAY });
    expect(needs.endOf(timelineId(1), 49)).toBeUndefined();
    expect(needs.endOf(timelineId(1), 52)).toBe(OPEN);
  });
});

/** Every segment of every timeline, every backup that might serve it: slow, and plainly what the words say. */
function slowEnd(
  timeline: TimelineId,
  segno: bigint,
  all: readonly BackupEnds[],
  facts: HistoryFacts,
  now: number,
): number | undefined {
  let latest: number | undefined;
  const take = (end: number): void => {
    if (end > now) latest = Math.max(latest ?? 0, end);
  };
  for (const tip of facts.timelines) {
    const history = facts.historyOf(tip);
    if (timelinesOfSegment(history, segno, SEGMENT)[0] !== timeline) continue;
    for (const { backup, alone, serves } of all) {
      const start = segnoOfLsn(backup.startLsn, SEGMENT);
      const stop = segnoBefore(backup.stopLsn, SEGMENT);
      if (segno < start) continue;
      if (tip === backup.timeline && segno <= stop) take(alone);
      if (!liesOn(backup, history) || serves <= now) continue;
      const next = all
        .filter((one) => one.restorable && one.serves > now && liesOn(one.backup, history))
        .filter((one) => one.backup.startLsn > backup.startLsn)
        .map((one) => ({ start: one.backup.startLsn, stop: segnoBefore(one.backup.stopLsn, SEGMENT) }))
        .sort((a, b) => (a.start < b.start ? -1 : 1))[0];
      if (next === undefined || segno <= next.stop) take(serves);
    }
  }
  return latest;
}

describe('the ends of WAL by directories', () => {
  it('are those that each segment has when every backup is asked, over many made-up archives', () => {
    let seed = 20261122;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return (seed >>> 8) % below;
    };
    for (let round = 0; round < 150; round += 1) {
      const fork = (10 + random(40)).toString(16).toUpperCase();
      const histories: Record<number, string> = random(2) === 0 ? {} : { 2: `1\t${fork}/0\tx\n` };
      if (histories[2] !== undefined && random(2) === 0) {
        histories[3] = `${histories[2]}2\t${(5 + random(60)).toString(16).toUpperCase()}/C0000000\ty\n`;
      }
      const count = 1 + Object.keys(histories).length;
      const facts = factsOf(histories, { 1: random(30), 2: random(30), 3: random(30) });
      const backups: NeededBackup[] = [];
      for (let n = 0; n < 1 + random(8); n += 1) {
        const parent = backups[random(backups.length + 1)];
        const start = BigInt(random(300)) * BigInt(SEGMENT) + 40n;
        backups.push({
          ...full(0),
          id: `b${n}`,
          type: parent === undefined ? 'full' : 'incremental',
          parent: parent?.id,
          timeline: timelineId(1 + random(count)),
          startLsn: lsn(start),
          stopLsn: lsn(start + BigInt(random(5)) * BigInt(SEGMENT) + 8n),
          stoppedAt: new Date(random(40) * DAY + n),
          keep: [undefined, undefined, OPEN, random(60) * DAY][random(4)],
        });
      }
      const retention = { windowMs: random(4) === 0 ? undefined : random(20) * DAY, fullBackups: 1 + random(3) };
      const now = random(40) * DAY;
      const ends = backupEnds(backups, retention, facts);
      const needs = walNeeds(ends, facts, { segmentBytes: SEGMENT, now });
      for (const timeline of facts.timelines) {
        for (let log = 0; log < 80; log += 1) {
          const each = Array.from({ length: PER_LOG }, (_, seg) =>
            slowEnd(timeline, BigInt(log * PER_LOG + seg), ends, facts, now),
          ).filter((end) => end !== undefined);
          const expected = each.length === 0 ? undefined : Math.max(...each);
          expect(needs.endOf(timeline, log), `round ${round}, timeline ${timeline}, log ${log}`).toBe(expected);
        }
      }
    }
  });
});
