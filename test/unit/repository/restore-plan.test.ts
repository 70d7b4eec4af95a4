import { describe, expect, it } from 'vitest';
import { formatLsn } from '../../../src/postgres/lsn.ts';
import { timelineId } from '../../../src/postgres/timeline.ts';
import { microsFromMs } from '../../../src/postgres/timestamp.ts';
import type { PathSegment } from '../../../src/repository/recovery-path.ts';
import type { RecoveryTarget } from '../../../src/repository/recovery-target.ts';
import { planRestore, type NoPlan, type PlanRequest, type RestorePlan } from '../../../src/repository/restore-plan.ts';
import { nameOf, type PlannedBackup } from '../../../src/repository/restore-way.ts';
import type { SegmentFacts } from '../../../src/repository/segment-times.ts';
import { at, inventory, storedAt, type StoredTimeline } from '../../support/wal-inventory.ts';

/** Segment n holds transactions that end in minute n of the day, the last one 30 seconds after it begins. */
function commitIn(segno: bigint): bigint {
  return microsFromMs(storedAt(Number(segno)).getTime() + 30_000);
}

const minute = (n: number): bigint => microsFromMs(storedAt(n).getTime());
const toMinute = (n: number): RecoveryTarget => ({ kind: 'time', time: { unixMicros: minute(n), offsetMinutes: 0 } });
const toLsn = (text: string): RecoveryTarget => ({ kind: 'lsn', lsn: at(text) });

/** A backup that starts in one segment and ends in another, in the middle of its minute. */
function backup(id: string, timeline: number, start: number, stop = start): PlannedBackup {
  const hex = (n: number): string => n.toString(16).padStart(2, '0');
  return {
    id,
    timeline: timelineId(timeline),
    startLsn: at(`0/${hex(start)}000028`),
    stopLsn: at(`0/${hex(stop)}000100`),
    stoppedMicros: minute(stop),
    stoppedAt: storedAt(stop),
  };
}

interface Case {
  stored: Record<number, StoredTimeline>;
  backups: PlannedBackup[];
  request?: Partial<PlanRequest>;
  facts?: (segno: bigint) => Partial<SegmentFacts>;
  /** The last commit, where it depends on the timeline. */
  factsOf?: (segno: bigint, timeline: number) => bigint;
  partialFacts?: Partial<SegmentFacts>;
}

const UNKNOWN: SegmentFacts = { commits: undefined, firstCommit: undefined, lastCommit: undefined, endLsn: undefined };

async function plan({
  stored,
  backups,
  request,
  facts,
  factsOf,
  partialFacts,
}: Case): Promise<RestorePlan<PlannedBackup> | NoPlan> {
  const wal = inventory(stored);
  const committed = (segno: bigint): Partial<SegmentFacts> => ({ commits: 5, lastCommit: commitIn(segno) });
  const times = {
    segment: ({ segno, timeline }: { segno: bigint; timeline: number }) => {
      const lastCommit = factsOf?.(segno, timeline);
      const known = lastCommit === undefined ? (facts ?? committed)(segno) : { commits: 1, lastCommit };
      return Promise.resolve({ ...UNKNOWN, ...known });
    },
    partial: () => Promise.resolve({ ...UNKNOWN, ...partialFacts }),
    storedAt: () => Promise.reject(new Error('the inventory knows it')),
  };
  const defaults: PlanRequest = {
    target: { kind: 'end' },
    timeline: { kind: 'newest' },
    backup: 'any',
    exclusive: false,
    endAtGap: false,
    standby: false,
  };
  return await planRestore({ ...defaults, ...request }, backups, { inventory: wal, times });
}

/** `backup timeline from-to`, with what is special about it. */
async function shown(one: Case): Promise<string> {
  const found = await plan(one);
  if (!found.reachable) {
    const moment = (point: NoPlan['before']): string =>
      point === undefined
        ? 'none'
        : `${point.micros === undefined ? '?' : new Date(Number(point.micros / 1000n)).toISOString().slice(11, 19)} ${formatLsn(point.lsn ?? at('0/0'))}`;
    return `unreachable: before ${moment(found.before)}, after ${moment(found.after)}`;
  }
  const wal = inventory(one.stored);
  const short = (segment: { timeline: typeof found.timeline; segno: bigint }): string =>
    `${segment.timeline}:${segment.segno}`;
  const partial = found.partial === undefined ? '' : ' partial';
  const gap = found.allowGap === undefined ? '' : ` allow ${nameOf(found.allowGap, wal).slice(-2)}`;
  return `${found.backup.id} ${found.timelines.join('>')} ${short(found.walFrom)}-${short(found.walTo)}${partial}${gap}`;
}

const FORK5 = '1 0/5000100 x';
const promoted: Record<number, StoredTimeline> = {
  1: { segments: '1-4', partials: [5] },
  2: { segments: '5-9', history: FORK5 },
};
const end: RecoveryTarget = { kind: 'end' };
const b2 = backup('B2', 1, 2);
const b6 = backup('B6', 1, 6);
const onOne = { timeline: { kind: 'number', timeline: timelineId(1) } } as const;

describe('the choice of the backup', () => {
  const table: [string, Case, string][] = [
    ['the newest, without a target', { stored: { 1: { segments: '1-9' } }, backups: [b2, b6] }, 'B6 1 1:6-1:9'],
    [
      'the newest that ended before the time',
      { stored: { 1: { segments: '1-9' } }, backups: [b2, b6], request: { target: toMinute(5) } },
      'B2 1 1:2-1:5',
    ],
    [
      'one that ended at the very time',
      { stored: { 1: { segments: '1-9' } }, backups: [b2, b6], request: { target: toMinute(6) } },
      'B6 1 1:6-1:6',
    ],
    [
      'an older one where the newest lacks WAL of its own',
      { stored: { 1: { segments: '1-8' } }, backups: [b2, backup('B8', 1, 8, 9)], request: { target: toMinute(5) } },
      'B2 1 1:2-1:5',
    ],
    [
      'the one that was told',
      { stored: { 1: { segments: '1-9' } }, backups: [b2, b6], request: { target: toMinute(8), backup: 'B2' } },
      'B2 1 1:2-1:8',
    ],
    [
      'the newest that ended before the LSN',
      { stored: { 1: { segments: '1-9' } }, backups: [b2, b6], request: { target: toLsn('0/6000050') } },
      'B2 1 1:2-1:6',
    ],
    [
      'the newest for a transaction',
      { stored: { 1: { segments: '1-9' } }, backups: [b2, b6], request: { target: { kind: 'xid', xid: '7' } } },
      'B6 1 1:6-1:9',
    ],
    [
      'only its own WAL for immediately',
      {
        stored: { 1: { segments: '1-9' } },
        backups: [b2, backup('B6', 1, 6, 7)],
        request: { target: { kind: 'immediate' } },
      },
      'B6 1 1:6-1:7',
    ],
    [
      'none before the first',
      { stored: { 1: { segments: '1-9' } }, backups: [b2, b6], request: { target: toMinute(1) } },
      'unreachable: before none, after 00:02:00 0/2000100',
    ],
    ['none at all', { stored: { 1: { segments: '1-9' } }, backups: [] }, 'unreachable: before none, after none'],
    [
      'told one that is too late',
      { stored: { 1: { segments: '1-9' } }, backups: [b2, b6], request: { target: toMinute(4), backup: 'B6' } },
      'unreachable: before none, after 00:06:00 0/6000100',
    ],
  ];
  it.each(table)('%s', async (_, one, expected) => {
    expect(await shown(one)).toBe(expected);
  });
});

describe('a target', () => {
  const table: [string, Case, string][] = [
    [
      'later than every commit cannot be reached',
      { stored: { 1: { segments: '1-9' } }, backups: [b2], request: { target: toMinute(10) } },
      'unreachable: before 00:09:30 0/A000000, after none',
    ],
    [
      'that is the last commit is not reached inclusively',
      {
        stored: { 1: { segments: '1-9' } },
        backups: [b2],
        request: { target: { kind: 'time', time: { unixMicros: commitIn(9n), offsetMinutes: 0 } } },
      },
      'unreachable: before 00:09:30 0/A000000, after none',
    ],
    [
      'that is the last commit is reached exclusively',
      {
        stored: { 1: { segments: '1-9' } },
        backups: [b2],
        request: { exclusive: true, target: { kind: 'time', time: { unixMicros: commitIn(9n), offsetMinutes: 0 } } },
      },
      'B2 1 1:2-1:9',
    ],
    [
      'in a hole cannot, and both sides are named',
      {
        stored: { 1: { segments: '1-4 6-9' } },
        backups: [b2, b6],
        request: { target: { kind: 'time', time: { unixMicros: minute(5) + 1n, offsetMinutes: 0 } } },
      },
      'unreachable: before 00:04:30 0/5000000, after 00:06:00 0/6000100',
    ],
    [
      'that the newest backup cannot even begin to reach is judged by the older ones too',
      {
        stored: { 1: { segments: '1-4 6-6 8-9' } },
        backups: [b2, backup('B6', 1, 6, 7)],
        request: { target: toMinute(9) },
      },
      'unreachable: before 00:04:30 0/5000000, after none',
    ],
    [
      'before a hole can',
      { stored: { 1: { segments: '1-4 6-9' } }, backups: [b2], request: { target: toMinute(4) } },
      'B2 1 1:2-1:4',
    ],
    [
      'LSN behind the last record cannot',
      {
        stored: { 1: { segments: '1-9' } },
        backups: [b2],
        request: { target: toLsn('0/9000200') },
        facts: () => ({ commits: 0, endLsn: at('0/9000100') }),
      },
      'unreachable: before 00:02:00 0/9000100, after none',
    ],
    [
      'LSN in a hole cannot',
      { stored: { 1: { segments: '1-4 6-9' } }, backups: [b2, b6], request: { target: toLsn('0/5000200') } },
      'unreachable: before 00:04:30 0/5000000, after 00:06:00 0/6000100',
    ],
    [
      'LSN in a partial can',
      {
        stored: { 1: { segments: '1-4', partials: [5] } },
        backups: [b2],
        request: { target: toLsn('0/5000200') },
        partialFacts: { endLsn: at('0/5000300') },
      },
      'B2 1 1:2-1:5 partial allow 05',
    ],
    [
      'LSN behind the end of a partial cannot',
      {
        stored: { 1: { segments: '1-4', partials: [5] } },
        backups: [b2],
        request: { target: toLsn('0/5000300') },
        partialFacts: { endLsn: at('0/5000300') },
      },
      'unreachable: before 00:04:30 0/5000000, after none',
    ],
    [
      'time in a partial can',
      {
        stored: { 1: { segments: '1-4', partials: [5] } },
        backups: [b2],
        request: { target: toMinute(5) },
        partialFacts: { commits: 2, lastCommit: commitIn(5n) },
      },
      'B2 1 1:2-1:5 partial allow 05',
    ],
    [
      'where commits are not known goes by the times of storing',
      {
        stored: { 1: { segments: '1-9' } },
        backups: [b2],
        request: { target: { kind: 'time', time: { unixMicros: minute(5) + 1n, offsetMinutes: 0 } } },
        facts: () => ({}),
      },
      'B2 1 1:2-1:6',
    ],
    [
      'transaction is tried even with a hole behind',
      { stored: { 1: { segments: '1-4 6-9' } }, backups: [b2], request: { target: { kind: 'name', name: 'x' } } },
      'B2 1 1:2-1:4',
    ],
  ];
  it.each(table)('%s', async (_, one, expected) => {
    expect(await shown(one)).toBe(expected);
  });

  it('planned by the times of storing is said to be', async () => {
    const found = await plan({
      stored: { 1: { segments: '1-9' } },
      backups: [b2],
      request: { target: toMinute(5) },
      facts: () => ({}),
    });
    expect(JSON.stringify(found.reachable ? found.remarks : [])).toMatch(/commit times .* are not known/);
  });
});

describe('the timeline', () => {
  const table: [string, Case, string][] = [
    ['is the newest that descends from the backup', { stored: promoted, backups: [b2] }, 'B2 1>2 1:2-2:9'],
    [
      'is the older one where that is told, up to its partial',
      { stored: promoted, backups: [b2], request: onOne },
      'B2 1 1:2-1:5 partial allow 05',
    ],
    [
      'ends without a partial where there are several',
      { stored: { ...promoted, 1: { segments: '1-4', partials: [5, 5] } }, backups: [b2], request: onOne },
      'B2 1 1:2-1:4 allow 05',
    ],
    [
      'is not one of which nothing is stored',
      { stored: { 1: { segments: '1-9' }, 2: { history: FORK5 } }, backups: [b2] },
      'B2 1 1:2-1:9',
    ],
    [
      'is not one that left before the backup ended',
      { stored: { 1: { segments: '1-9' }, 2: { segments: '5-8', history: FORK5 } }, backups: [b6] },
      'B6 1 1:6-1:9',
    ],
    [
      'cannot be one that does not descend',
      {
        stored: { 1: { segments: '1-9' }, 2: { segments: '5-8', history: FORK5 } },
        backups: [b6],
        request: { timeline: { kind: 'number', timeline: timelineId(2) } },
      },
      'unreachable: before none, after none',
    ],
    [
      'cannot be a stray one to its end',
      {
        stored: { 1: { segments: '1-9' }, 2: { history: FORK5 } },
        backups: [b2],
        request: { timeline: { kind: 'number', timeline: timelineId(2) } },
      },
      'unreachable: before 00:04:30 0/5000000, after none',
    ],
    [
      'can be a stray one up to where it left',
      {
        stored: { 1: { segments: '1-9' }, 2: { history: FORK5 } },
        backups: [b2],
        request: { target: toLsn('0/4000100'), timeline: { kind: 'number', timeline: timelineId(2) } },
      },
      'B2 1>2 1:2-1:4',
    ],
    [
      "can be the backup's own",
      { stored: promoted, backups: [b2], request: { timeline: { kind: 'current' }, target: toMinute(4) } },
      'B2 1 1:2-1:4',
    ],
  ];
  it.each(table)('%s', async (_, one, expected) => {
    expect(await shown(one)).toBe(expected);
  });

  const levelOf = async (one: Case): Promise<string[]> => {
    const found = await plan(one);
    return found.reachable ? found.remarks.map(({ level, text }) => `${level}: ${text.slice(0, 10)}`) : [];
  };

  it('that is left while it was still written at the target is warned of', async () => {
    // Timeline 2 began in segment 5 when timeline 1 had come to segment 9: its first commit is minutes later.
    const stored = { 1: { segments: '1-9' }, 2: { segments: '5-12', history: FORK5 } };
    const late = (segno: bigint, timeline: number): bigint => commitIn(timeline === 2 ? segno + 5n : segno);
    const wal = { stored, backups: [b2], factsOf: late };
    expect(await levelOf({ ...wal, request: { target: toMinute(8) } })).toEqual(['warning: timeline 1']);
    expect(await levelOf({ ...wal, request: { target: toMinute(11) } })).toEqual(['notice: timeline 1']);
    expect(await levelOf({ ...wal, request: { target: toMinute(3) } })).toEqual(['notice: timeline 1']);
  });

  it('that is newer and a sibling is warned of', async () => {
    const stored = {
      1: { segments: '1-9' },
      2: { segments: '5-8', history: FORK5 },
      3: { segments: '4-9', history: '1 0/4000100 x' },
    };
    const found = await levelOf({ stored, backups: [backup('B6', 2, 6)] });
    expect(found).toEqual(['warning: timeline 3']);
  });

  it('that is left behind or passed over is named', async () => {
    const found = await plan({
      stored: {
        1: { segments: '1-9' },
        2: { segments: '5-8', history: FORK5 },
        3: { history: `${FORK5}\n2 0/9000100 x` },
      },
      backups: [b2],
    });
    const texts = found.reachable ? found.remarks.map(({ text }) => text) : [];
    expect(texts).toEqual([
      'timeline 3 is ignored: nothing from where it begins is stored of it',
      'timeline 1 goes on where timeline 2 leaves it, up to segment 000000010000000000000009: --target-timeline 1 recovers that',
    ]);
  });
});

describe('a hole on the way to the end of the WAL', () => {
  const holed: Record<number, StoredTimeline> = { 1: { segments: '1-4 6-9' } };
  const table: [string, Case, string][] = [
    [
      'is refused, and what lies before it is named',
      { stored: holed, backups: [b2] },
      'unreachable: before 00:04:30 0/5000000, after none',
    ],
    ['can be made the end', { stored: holed, backups: [b2], request: { endAtGap: true } }, 'B2 1 1:2-1:4 allow 05'],
    [
      'is bridged a little by a partial',
      { stored: { 1: { segments: '1-4 6-9', partials: [5] } }, backups: [b2], request: { endAtGap: true } },
      'B2 1 1:2-1:5 partial allow 05',
    ],
    ['is no matter for a backup behind it', { stored: holed, backups: [b2, b6] }, 'B6 1 1:6-1:9'],
    [
      'is seen through a descendant',
      { stored: { 1: { segments: '1-3' }, 2: { segments: '5-9', history: FORK5 } }, backups: [b2] },
      'unreachable: before 00:03:30 0/4000000, after none',
    ],
    ['does not stop a standby', { stored: holed, backups: [b2], request: { standby: true } }, 'B2 1 1:2-1:4'],
    [
      'needs no leave where there is none',
      { stored: { 1: { segments: '1-9' } }, backups: [b2], request: { endAtGap: true, target: end } },
      'B2 1 1:2-1:9',
    ],
  ];
  it.each(table)('%s', async (_, one, expected) => {
    expect(await shown(one)).toBe(expected);
  });

  it.each<[string, Case, [first: string, last: string | undefined] | undefined]>([
    ['from the first to the last missing segment', { stored: holed, backups: [b2] }, ['05', '05']],
    [
      'over several segments',
      { stored: { 1: { segments: '1-3 8-9' } }, backups: [b2], request: { target: toMinute(6) } },
      ['04', '07'],
    ],
    [
      'without an end where the WAL just ends',
      { stored: { 1: { segments: '1-9' } }, backups: [b2], request: { target: toMinute(10) } },
      ['0A', undefined],
    ],
    [
      'that a backup needs for itself',
      { stored: { 1: { segments: '1-2 4-9' } }, backups: [backup('B2', 1, 2, 4)] },
      ['03', '03'],
    ],
    [
      'not at all where the target is too early',
      { stored: holed, backups: [b2], request: { target: toMinute(1) } },
      undefined,
    ],
  ])('is told of, %s', async (_, one, expected) => {
    const { reachable, ...found } = await plan(one);
    expect(reachable).toBe(false);
    const missing = 'missing' in found ? found.missing : undefined;
    const last2 = (segment: PathSegment): string => nameOf(segment, inventory(one.stored)).slice(-2);
    expect(missing && [last2(missing.first), missing.last && last2(missing.last)]).toEqual(expected);
  });

  it('is described with the way through', async () => {
    const found = await plan({ stored: holed, backups: [b2] });
    expect(found).toMatchObject({
      why: 'WAL is missing from segment 000000010000000000000005 on; the next that is stored is 000000010000000000000006; before it one can recover up to 2026-01-01T00:04:30.000000Z (LSN 0/5000000)',
      hint: 'Give a target before it, or --end-at-gap to end there.',
    });
  });
});
