import { describe, expect, it } from 'vitest';
import { lsn } from '../../../src/postgres/lsn.ts';
import { timelineId } from '../../../src/postgres/timeline.ts';
import { microsFromMs } from '../../../src/postgres/timestamp.ts';
import { gapsOf, windowsOf } from '../../../src/repository/coverage.ts';
import { safeWal } from '../../../src/repository/lag.ts';
import type { PathSegment } from '../../../src/repository/recovery-path.ts';
import type { TimelineWish } from '../../../src/repository/recovery-target.ts';
import { planRestore, type NoPlan, type PlanRequest, type RestorePlan } from '../../../src/repository/restore-plan.ts';
import type { PlannedBackup, WalEvidence } from '../../../src/repository/restore-way.ts';
import type { SegmentFacts } from '../../../src/repository/segment-times.ts';
import { missingHistories, missingSegments } from '../../../src/repository/verify-names.ts';
import { historyOf } from '../../../src/repository/wal-inventory.ts';
import { LONG } from '../../support/effort.ts';
import { randomWorld, SEGMENT, type MadeBackup, type World } from '../../support/random-timelines.ts';
import { SeededRandom } from '../../support/seeded-random.ts';
import { segnoBefore, segnoOf, SlowRecovery, type Place } from '../../support/slow-recovery.ts';
import { inventory, storedAt } from '../../support/wal-inventory.ts';

const SEEDS = LONG ? 5000 : 400;
/** So many worlds are one test. */
const AT_ONCE = LONG ? 500 : 100;
const PLANS = 12;

const minute = (n: number): bigint => microsFromMs(storedAt(n).getTime());

function planned({ id, timeline, start, stop, minute: n }: MadeBackup): PlannedBackup {
  return {
    id,
    timeline: timelineId(timeline),
    startLsn: lsn(BigInt(start)),
    stopLsn: lsn(BigInt(stop)),
    stoppedAt: storedAt(n),
    stoppedMicros: minute(n),
  };
}

function evidenceOf(world: World): WalEvidence {
  const facts = (key: string): SegmentFacts => {
    const last = world.commits.get(key);
    const known = { firstCommit: undefined, endLsn: undefined };
    return last === undefined
      ? { ...known, commits: 0, lastCommit: undefined }
      : { ...known, commits: 1, lastCommit: minute(last) };
  };
  return {
    inventory: inventory(world.stored),
    times: {
      segment: ({ timeline, segno }) => Promise.resolve(facts(`${timeline}:${segno}`)),
      partial: () => Promise.resolve({ ...facts(''), commits: undefined }),
      storedAt: () => Promise.resolve(undefined),
    },
  };
}

/** What is asked for, in plain numbers. */
interface Wish {
  target: { kind: 'end' } | { kind: 'immediate' } | { kind: 'lsn'; lsn: number } | { kind: 'time'; minute: number };
  timeline: 'newest' | 'current' | number;
  /** `any`, `latest`, or its identifier. */
  backup: string;
  exclusive: boolean;
  endAtGap: boolean;
  standby: boolean;
}

function randomWish(random: SeededRandom, slow: SlowRecovery): Wish {
  const { backups } = slow.world;
  const stop = backups.length === 0 ? SEGMENT : random.pick(backups).stop;
  const targets: Wish['target'][] = [
    { kind: 'end' },
    { kind: 'immediate' },
    { kind: 'lsn', lsn: stop + random.between(-SEGMENT, 5 * SEGMENT) },
    { kind: 'time', minute: random.between(1, 25) },
  ];
  const timelines: Wish['timeline'][] = [
    'newest',
    'newest',
    'current',
    random.between(1, (slow.timelines.at(-1) ?? 1) + 1),
  ];
  const chosen = random.pick(['any', 'any', 'any', 'latest', ...backups.slice(0, 1).map(({ id }) => id)]);
  return {
    target: random.pick(targets),
    timeline: random.pick(timelines),
    backup: chosen,
    exclusive: random.oneIn(3),
    endAtGap: random.oneIn(3),
    standby: random.oneIn(6),
  };
}

function requestOf({ target, timeline, ...rest }: Wish): PlanRequest {
  const wish: TimelineWish =
    typeof timeline === 'number' ? { kind: 'number', timeline: timelineId(timeline) } : { kind: timeline };
  const common = { timeline: wish, ...rest };
  switch (target.kind) {
    case 'lsn':
      return { ...common, target: { kind: 'lsn', lsn: lsn(BigInt(target.lsn)) } };
    case 'time':
      return { ...common, target: { kind: 'time', time: { unixMicros: minute(target.minute), offsetMinutes: 0 } } };
    case 'end':
    case 'immediate':
      return { ...common, target };
  }
}

/** A plan in short, or the nearest moments. */
interface Answer {
  backup?: string;
  timeline?: number;
  to?: string;
  partial?: boolean;
  allowGap?: string | undefined;
  before?: number | undefined;
  after?: number | undefined;
}

const placeText = ({ timeline, segno }: PathSegment | Place): string => `${timeline}:${segno}`;

function answerOf(plan: RestorePlan<PlannedBackup> | NoPlan): Answer {
  const whole = (micros: bigint | undefined): number | undefined =>
    micros === undefined ? undefined : Number((micros - minute(0)) / 60_000_000n);
  if (!plan.reachable) return { before: whole(plan.before?.micros), after: whole(plan.after?.micros) };
  const { backup, timeline, walTo, partial, allowGap } = plan;
  return {
    backup: backup.id,
    timeline,
    to: placeText(walTo),
    partial: partial !== undefined,
    allowGap: allowGap === undefined ? undefined : placeText(allowGap),
  };
}

/** The newest backup that leads there, and how far one has to read. */
function slowAnswer(slow: SlowRecovery, wish: Wish): Answer {
  const { target } = wish;
  const newestFirst = slow.world.backups.toReversed();
  const isLate = ({ minute: n, stop }: MadeBackup): boolean =>
    (target.kind === 'time' && n > target.minute) || (target.kind === 'lsn' && stop > target.lsn);
  const leadsTo = (backup: MadeBackup): number =>
    wish.timeline === 'newest' ? slow.newest(backup) : wish.timeline === 'current' ? backup.timeline : wish.timeline;
  const before: number[] = [];
  const isWanted = ({ id }: MadeBackup): boolean =>
    wish.backup === 'any' || (wish.backup === 'latest' ? id === newestFirst[0]?.id : id === wish.backup);
  for (const backup of newestFirst.filter((one) => isWanted(one) && !isLate(one))) {
    const timeline = leadsTo(backup);
    const reach = slow.reach(backup, timeline);
    const reached = reach === undefined ? undefined : slowReach(slow, backup, timeline, wish);
    if (reached !== undefined) return { backup: backup.id, timeline, ...reached };
    if (reach !== undefined) before.push(lastMinute(slow, backup, timeline));
  }
  const after = newestFirst.findLast((one) => isLate(one) && slow.reach(one, leadsTo(one)) !== undefined);
  return { before: before.length === 0 ? undefined : Math.max(...before), after: after?.minute };
}

/** The stored segments of a way, in order. */
function readable(slow: SlowRecovery, backup: MadeBackup, timeline: number): Place[] {
  const places: Place[] = [];
  const last = slow.reach(backup, timeline)?.last.segno ?? -1;
  for (let segno = segnoOf(backup.start); segno <= last; segno += 1) places.push(slow.owner(timeline, segno));
  return places;
}

function lastMinute(slow: SlowRecovery, backup: MadeBackup, timeline: number): number {
  const commits = readable(slow, backup, timeline).map((place) => slow.world.commits.get(placeText(place)));
  const last = commits.findLast((n) => n !== undefined);
  return last !== undefined && last > backup.minute ? last : backup.minute;
}

/** `undefined`: it is not reached. */
function slowReach(
  slow: SlowRecovery,
  backup: MadeBackup,
  timeline: number,
  { target, endAtGap, exclusive, standby }: Wish,
): Pick<Answer, 'to' | 'partial' | 'allowGap'> | undefined {
  const reach = slow.reach(backup, timeline);
  if (reach === undefined) return undefined;
  const places = readable(slow, backup, timeline);
  const at = (place: Place | undefined): ReturnType<typeof slowReach> =>
    place === undefined ? undefined : { to: placeText(place), partial: false, allowGap: undefined };
  const inPartial = { to: placeText(reach.missing), partial: true, allowGap: placeText(reach.missing) };
  switch (target.kind) {
    case 'immediate':
      return at(places.find(({ segno }) => segno === segnoBefore(backup.stop)));
    case 'lsn': {
      const found = at(places.find(({ segno }) => segno === segnoOf(target.lsn)));
      const inLast = segnoOf(target.lsn) === reach.missing.segno && slow.hasPartial(reach.missing);
      return found ?? (inLast ? inPartial : undefined);
    }
    case 'time': {
      const isLater = (n: number): boolean => (exclusive ? n >= target.minute : n > target.minute);
      const found = at(places.find((place) => isLater(slow.world.commits.get(placeText(place)) ?? -1)));
      // Nothing is known of its transactions, so it is when it was stored: minute n for segment n here.
      const inLast = slow.hasPartial(reach.missing) && isLater(reach.missing.segno);
      return found ?? (inLast ? inPartial : undefined);
    }
    case 'end': {
      if (standby) return at(reach.last);
      if (slow.isStray(timeline) || (reach.next !== undefined && !endAtGap)) return undefined;
      const partial = slow.hasPartial(reach.missing);
      const allowGap = slow.mayBeHole(reach.missing) ? placeText(reach.missing) : undefined;
      return { to: placeText(partial ? reach.missing : reach.last), partial, allowGap };
    }
  }
}

/** What a server would do with the plan; a text where that is not what the plan says. */
function contradiction(slow: SlowRecovery, wish: Wish, plan: RestorePlan<PlannedBackup>): string | undefined {
  const backup = slow.world.backups.find(({ id }) => id === plan.backup.id) as MadeBackup;
  const plain = (place: PathSegment): Place => ({ timeline: place.timeline, segno: Number(place.segno) });
  const allowGap = plan.allowGap === undefined ? undefined : plain(plan.allowGap);
  const local = plan.partial === undefined ? undefined : plain(plan.walTo);
  const { read, end } = slow.recover(backup, plan.timeline, { allowGap, local });
  const strange = read.find((place) => placeText(place) !== placeText(slow.owner(plan.timeline, place.segno)));
  const needed = read.some((place) => placeText(place) === placeText(plan.walTo));
  if (!needed) return `it ends (${end}) before it comes to ${placeText(plan.walTo)}`;
  if (wish.target.kind !== 'end' || wish.standby) return undefined;
  if (end === 'refused') return `it is refused WAL behind ${read.map(placeText).at(-1)}`;
  if (strange !== undefined) return `it reads ${placeText(strange)}`;
  return placeText(read.at(-1) as Place) === placeText(plan.walTo)
    ? undefined
    : `it goes on to ${placeText(read.at(-1) as Place)}`;
}

function checkNames(slow: SlowRecovery, seed: number): void {
  const { world } = slow;
  const stored = inventory(world.stored);
  const backups = world.backups.map(planned);
  const gaps = gapsOf(stored).flatMap(({ timeline, first, last }) => {
    const keys: string[] = [];
    for (let segno = first; segno <= last; segno += 1n) keys.push(`${timeline}:${segno}`);
    return keys;
  });
  expect(gaps.sort(), `holes, seed ${seed}`).toEqual(slow.gaps());
  const windows = windowsOf(backups, stored).flatMap(({ timeline, backups: inIt, last }) =>
    inIt.map(({ id }) => `${timeline} ${id}: ${last.segno}`),
  );
  expect(windows.sort(), `windows, seed ${seed}`).toEqual(slow.windows().sort());
  const missing = new Set(
    missingSegments(backups, stored).map(
      ({ object }) => `${Number.parseInt(object.slice(0, 8), 16)}:${Number.parseInt(object.slice(16), 16)}`,
    ),
  );
  expect([...missing].sort(), `missing segments, seed ${seed}`).toEqual(slowlyMissing(slow));
  const { timelines } = slow;
  const noHistory =
    timelines.length === 0
      ? []
      : between((timelines[0] ?? 0) + 1, timelines.at(-1) ?? 0).filter((one) => !world.histories.has(one));
  expect(
    missingHistories(stored).map(({ object }) => Number.parseInt(object, 16)),
    `histories, seed ${seed}`,
  ).toEqual(noHistory);
}

/** How far the WAL is safe for a server on each timeline, from its newest backup on; without one, from the first stored segment. */
function checkSafeWal(slow: SlowRecovery, seed: number): void {
  const { world } = slow;
  const stored = inventory(world.stored);
  for (const timeline of slow.timelines) {
    const safe = safeWal(world.backups.map(planned), historyOf(stored, timelineId(timeline)), stored);
    const usable = world.backups.filter((backup) => slow.liesOn(backup, timeline)).sort((a, b) => a.stop - b.stop);
    const newest = usable.at(-1);
    const first = between(0, 400).find((segno) => slow.isStored(slow.owner(timeline, segno)));
    const from = newest === undefined ? first : segnoOf(newest.start);
    let end = from;
    while (end !== undefined && slow.isStored(slow.owner(timeline, end))) end += 1;
    expect(safe === undefined ? undefined : segnoOf(Number(safe.end)), `safe WAL, seed ${seed}`).toBe(end);
  }
}

function between(first: number, last: number): number[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, at) => first + at);
}

/** What backups need, and holes that are not older than all of them. */
function slowlyMissing(slow: SlowRecovery): string[] {
  const { backups } = slow.world;
  const oldest = Math.min(...backups.map(({ start }) => segnoOf(start)));
  const needed = backups.flatMap(({ timeline, start, stop }) =>
    between(segnoOf(start), segnoBefore(stop)).map((segno) => slow.owner(timeline, segno)),
  );
  const lacking = needed.filter((place) => !slow.isStored(place)).map(placeText);
  return [
    ...new Set([
      ...lacking,
      ...wholeRows(slow.gaps())
        .filter((row) => backups.length === 0 || lastOf(row) >= oldest)
        .flat(),
    ]),
  ].sort();
}

/** Missing segments in a row are one hole. */
function wholeRows(keys: string[]): string[][] {
  const places = keys
    .map((key) => key.split(':').map(Number) as [number, number])
    .sort(([t, s], [u, v]) => t - u || s - v);
  const rows: string[][] = [];
  let before: [number, number] | undefined;
  for (const [timeline, segno] of places) {
    if (before?.[0] === timeline && before[1] + 1 === segno) rows.at(-1)?.push(`${timeline}:${segno}`);
    else rows.push([`${timeline}:${segno}`]);
    before = [timeline, segno];
  }
  return rows;
}

const lastOf = (row: string[]): number => Number(row.at(-1)?.split(':')[1]);

async function checkPlans(slow: SlowRecovery, random: SeededRandom, seed: number): Promise<Answer[]> {
  const backups = slow.world.backups.map(planned);
  const evidence = evidenceOf(slow.world);
  const answers: Answer[] = [];
  for (let n = 0; n < PLANS; n += 1) {
    const wish = randomWish(random, slow);
    const plan = await planRestore(requestOf(wish), backups, evidence);
    const what = `seed ${seed}: ${JSON.stringify(wish)} of ${JSON.stringify(slow.world.stored)}`;
    expect(answerOf(plan), what).toEqual(slowAnswer(slow, wish));
    if (plan.reachable) expect(contradiction(slow, wish, plan), what).toBeUndefined();
    answers.push(answerOf(plan));
  }
  return answers;
}

describe('trees of timelines, worked out by hand', () => {
  it.each(Array.from({ length: SEEDS / AT_ONCE }, (_, at) => at * AT_ONCE))(
    'have the holes, windows and plans that the program tells (seeds from %i on)',
    async (from) => {
      const answers: Answer[] = [];
      for (let seed = from; seed < from + AT_ONCE; seed += 1) {
        const slow = new SlowRecovery(randomWorld(seed));
        checkNames(slow, seed);
        checkSafeWal(slow, seed);
        answers.push(...(await checkPlans(slow, new SeededRandom(seed + 1_000_000), seed)));
      }
      // Of everything there is something.
      const some = (is: (answer: Answer) => boolean): number => answers.filter(is).length;
      expect(some(({ backup }) => backup !== undefined)).toBeGreaterThan(answers.length / 5);
      expect(some(({ backup }) => backup === undefined)).toBeGreaterThan(answers.length / 20);
      expect(some(({ partial }) => partial === true)).toBeGreaterThan(0);
      expect(some(({ allowGap }) => allowGap !== undefined)).toBeGreaterThan(0);
    },
    120_000,
  );
});
