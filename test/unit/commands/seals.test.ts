import { describe, expect, it } from 'vitest';
import { textLog } from '../../../src/base/log.ts';
import type { CommandContext } from '../../../src/commands/command-context.ts';
import { readList } from '../../../src/commands/list.ts';
import { planJson, walBytes } from '../../../src/commands/restore/plan-report.ts';
import { readPlan } from '../../../src/commands/restore/read-plan.ts';
import type { RestoreOptions } from '../../../src/commands/restore/restore-options.ts';
import { gatherStatus } from '../../../src/commands/status-gather.ts';
import { formatLsn, lsn } from '../../../src/postgres/lsn.ts';
import { timelineId } from '../../../src/postgres/timeline.ts';
import { microsFromMs } from '../../../src/postgres/timestamp.ts';
import type { Overview } from '../../../src/repository/overview.ts';
import type { RecoveryTarget } from '../../../src/repository/recovery-target.ts';
import { readWalInventory } from '../../../src/repository/read-wal-inventory.ts';
import type { Repository } from '../../../src/repository/repository.ts';
import { formatSealRecord, parseSealRecord, type SealRecord } from '../../../src/repository/seal-record.ts';
import { verifyRepository } from '../../../src/repository/verify-repository.ts';
import { VerifyReport } from '../../../src/repository/verify-scope.ts';
import { walOf } from '../../../src/repository/wal-inventory.ts';
import { LONG } from '../../support/effort.ts';
import { SYSTEM_ID } from '../../support/file-repository.ts';
import { NOW } from '../../support/memory-store.ts';
import { seededNumbers } from '../../support/killer.ts';
import { repositoryOn } from '../../support/tampered-repository.ts';
import { VersionedMemoryBucket } from '../../support/versioned-memory-store.ts';
import { clock, GIB, keyOf, nameOf, PER_LOG, SealedWorld, storedAt } from '../../support/sealed-world.ts';

const { signal } = new AbortController();
const LOCK = { mode: 'governance' as const, periodMs: 400 * 86_400_000, maxMs: 500 * 86_400_000 };
const SEAL_KEY = 'seal/20260601T000000Z.json';
const WORLDS = LONG ? 400 : 16;

interface Shown {
  text: string;
  said: string;
  sealed: number;
}

/** All that `list`, `status` and plans show; `seals`: whether they go by seals. */
async function shown(
  repositories: readonly Repository[],
  targets: readonly RecoveryTarget[],
  seals: boolean,
  random: () => number = () => 0,
): Promise<Shown> {
  let said = '';
  const log = textLog('test', 'warning', (line) => (said += line));
  const asOf = seals ? undefined : { at: NOW, text: 'now' };
  const context = { signal, log, clock, random, asOf, config: { jobs: 4 } } as unknown as CommandContext;
  const { result } = await readList(context, repositories);
  const { status, overview } = await gatherStatus(context, repositories, { lag: undefined, serverFailed: false });
  const plans = [];
  for (const target of targets) {
    const options = { target, backup: 'any', exclusive: false, timeline: { kind: 'newest' } } as unknown;
    const use = seals ? { clock, random } : undefined;
    const found = await readPlan(repositories, options as RestoreOptions, { signal, jobs: 4, log, seals: use });
    const bytes = found.plan.reachable ? walBytes(found.plan, found.inventory) : 0;
    plans.push({ ...planJson(found.plan, found.inventory, null), walBytes: bytes });
  }
  return { text: JSON.stringify({ result, status, plans }, undefined, 1), said, sealed: sealedIn(overview) };
}

function toTime(segno: number): RecoveryTarget {
  return { kind: 'time', time: { unixMicros: microsFromMs(storedAt(segno).getTime()) - 1n, offsetMinutes: 0 } };
}

function toLsn(segno: number): RecoveryTarget {
  return { kind: 'lsn', lsn: lsn(BigInt(segno) * BigInt(GIB) + 100n) };
}

/** Two hundred segments and a backup. */
async function plainWorld(): Promise<SealedWorld> {
  const world = new SealedWorld({ lock: LOCK, locks: 'kept' });
  await world.putBackup(5);
  world.putSegments(1, 200);
  return world;
}

function changeSeal({ memory }: SealedWorld, change: (record: SealRecord) => SealRecord, key = SEAL_KEY): void {
  const record = parseSealRecord(memory.content(SEAL_KEY) ?? Buffer.alloc(0), 'x');
  memory.objects.delete(key);
  memory.put(key, formatSealRecord(change(record)));
}

async function problemsOf({ repository }: SealedWorld): Promise<string[]> {
  const report = new VerifyReport();
  await verifyRepository(repository, { signal, clock, jobs: 2, slice: undefined, report });
  return report.problems.map(({ code, object, message }) => `${code} ${object}: ${message}`);
}

/** Segments that nothing but a seal speaks of. */
function sealedIn(overview: Overview | undefined): number {
  const timelines = [...(overview?.inventory?.timelines.values() ?? [])];
  return timelines.reduce((sum, { segments }) => sum + countSealed(segments.spans()), 0);
}

function countSealed(spans: Iterable<{ count: number }>): number {
  let sum = 0;
  for (const { count } of spans) sum += count > 1 ? count : 0;
  return sum;
}

describe('with seals', () => {
  let bySeal = 0;

  it.each(Array.from({ length: WORLDS }, (_, seed) => seed))(
    'everything is shown and planned as without them (seed %i)',
    async (seed) => {
      const random = seededNumbers(seed + 1);
      const { world, targets } = await randomWorld(random);
      const repositories = [world.repository];
      if (random(3) === 0) {
        const second = new SealedWorld({ number: 2 });
        for (const [key, versions] of world.memory.objects) {
          if (random(20) > 0 && !key.startsWith('seal/')) second.memory.objects.set(key, versions);
        }
        if (random(2) === 0) await second.seal();
        repositories.push(second.repository);
      }
      const plain = await shown(repositories, targets, false);
      const { text, sealed } = await shown(repositories, targets, true, () => random(1000) / 1000);
      expect(text).toBe(plain.text);
      expect(plain.sealed).toBe(0);
      if (sealed > 50) bySeal += 1;
      expect(plain.text).toContain('"reachable": true');
    },
  );

  it('most of these were read by their seals', () => {
    expect(bySeal).toBeGreaterThan(WORLDS / 2);
  });

  it('the WAL of a year is not walked', async () => {
    const world = await plainWorld();
    await world.seal();
    await world.putBackup(190);
    const lists = async (seals: boolean): Promise<number> => {
      world.memory.calls.length = 0;
      const context = { signal, clock, random: () => 0, config: { jobs: 4 }, log: textLog('test', 'error', () => {}) };
      const asOf = seals ? undefined : { at: NOW, text: 'now' };
      await readList({ ...context, asOf } as unknown as CommandContext, [world.repository]);
      return world.memory.calls.filter((call) => /^list wal\/./.test(call)).length;
    };
    expect(await lists(false)).toBe(1);
    // By directories, both ends, and what was drawn by lot.
    expect(await lists(true)).toBe(1 + 2 + 1);
  });

  it('a bucket that keeps versions is asked no more often, however many backups it holds', async () => {
    const world = await plainWorld();
    for (let segno = 100; segno < 180; segno += 1) await world.putBackup(segno);
    await world.seal();
    const bucket = new VersionedMemoryBucket();
    for (const key of world.memory.objects.keys()) bucket.put(key, world.memory.content(key) ?? Buffer.alloc(0));
    const read = async (repository: Repository): Promise<string> => {
      const log = textLog('test', 'error', () => {});
      const context = { signal, clock, random: () => 0, config: { jobs: 4 }, log, asOf: undefined };
      const { backups, windows, gaps } = (await readList(context as unknown as CommandContext, [repository])).result;
      return JSON.stringify({ backups: backups.map(({ id }) => id), windows, gaps });
    };
    expect(await read(repositoryOn(bucket))).toBe(await read({ ...world.repository, lock: undefined }));
    const listings = bucket.requests.filter((request) => /^(list|versions) /.test(request));
    expect(listings.length).toBeLessThan(20);
    expect(bucket.requests.filter((request) => request.includes('backup.json'))).toHaveLength(81);
  });

  it('a log that is less than it says makes it count for nothing, and is named', async () => {
    const world = await plainWorld();
    await world.seal();
    world.removeSegment(102);
    const targets: RecoveryTarget[] = [{ kind: 'end' }, toTime(150), toLsn(60)];
    const { text, said } = await shown([world.repository], targets, true);
    expect(text).toBe((await shown([world.repository], targets, false)).text);
    expect(said).toContain(`${SEAL_KEY} in memory://1 says that wal/00000001/0000000100000019/ is stored in whole`);
    expect(await problemsOf(world)).toContain(
      `misfit ${SEAL_KEY}: it says that wal/00000001/0000000100000019/ is stored in whole, and 1 of its segments are not, the first ${nameOf(102)}`,
    );
  });

  it('a plan does not rest on one, whatever the lots were', async () => {
    const world = await plainWorld();
    await world.seal();
    world.removeSegment(102);
    const log = textLog('test', 'warning', (line) => (said += line));
    let said = '';
    const options = { target: { kind: 'end' }, backup: 'any', exclusive: false, timeline: { kind: 'newest' } };
    // Nothing is drawn, as in a year of which a few logs are.
    const seals = { clock, random: () => 0, listed: { first: 0n, last: 0n } };
    const { plan } = await readPlan([world.repository], options as unknown as RestoreOptions, {
      signal,
      jobs: 2,
      log,
      seals,
    });
    expect(plan).toMatchObject({ reachable: false, why: expect.stringContaining(nameOf(102)) as string });
    expect(said).toContain(`segment ${nameOf(102)} is not stored, though a seal says that it is`);
  });

  it.each<[string, (world: SealedWorld) => void, RegExp]>([
    ['is cut short', ({ memory }) => spoil(memory, (bytes) => bytes.subarray(0, 200)), /^damaged seal\/.*digest/],
    [
      'has a flipped bit',
      ({ memory }) => spoil(memory, (bytes) => bytes.fill((bytes[99] ?? 0) ^ 1, 99, 100)),
      /^damaged seal\/.*digest/,
    ],
    [
      'is of another cluster',
      (world) => changeSeal(world, (record) => ({ ...record, systemId: 7n })),
      /^damaged seal\/.*another cluster/,
    ],
    [
      'is of another time',
      (world) => changeSeal(world, (record) => ({ ...record, at: new Date(0) })),
      /^damaged seal\/.*another cluster or time/,
    ],
    [
      'is of other segments',
      (world) => changeSeal(world, (record) => ({ ...record, segmentBytes: 16 * 1024 * 1024 })),
      /^damaged seal\/.*16777216/,
    ],
    [
      'comes from the future',
      (world) => {
        changeSeal(
          world,
          (record) => ({ ...record, at: new Date('2099-01-01T00:00:00Z') }),
          'seal/20990101T000000Z.json',
        );
        world.memory.objects.delete(SEAL_KEY);
      },
      /^damaged seal\/2099.*future/,
    ],
  ])('one that %s is passed over, and verify says so', async (_, spoilIt, problem) => {
    const world = await plainWorld();
    await world.seal();
    // Were it believed, this would be a hole that nobody sees.
    world.removeSegment(102);
    spoilIt(world);
    const { text, said } = await shown([world.repository], [{ kind: 'end' }], true);
    expect(text).toBe((await shown([world.repository], [{ kind: 'end' }], false)).text);
    expect(said).not.toContain('is stored in whole');
    expect((await problemsOf(world)).filter((one) => one.includes('seal/'))).toEqual([expect.stringMatching(problem)]);
  });

  it('what was given up since is listed, though all around it is as it was', async () => {
    const world = await plainWorld();
    await world.seal();
    world.removeSegment(102);
    world.putExpired(101, 103);
    // Nothing is drawn by lot.
    const seals = { clock, random: () => 0, listed: { first: 0n, last: 0n } };
    const options = { signal, segmentBytes: GIB, systemId: SYSTEM_ID, seals };
    const { segments } = walOf(await readWalInventory([world.repository], options), timelineId(1));
    expect(segments.runs).toEqual([
      { first: 1n, last: 101n },
      { first: 103n, last: 200n },
    ]);
    expect(countSealed(segments.spans())).toBeGreaterThan(100);
  });

  it('one that was written over counts as it was first written', async () => {
    const world = new SealedWorld({ versioned: true });
    await world.putBackup(5);
    world.putSegments(1, 200);
    world.removeSegment(102);
    await world.seal();
    const record = parseSealRecord(world.memory.content(SEAL_KEY) ?? Buffer.alloc(0), 'x');
    const one = timelineId(1);
    const logs = new Map([[one, new Map([...(record.logs.get(one) ?? []), [25, 0]])]]);
    world.memory.put(SEAL_KEY, formatSealRecord({ ...record, logs }));
    const { text, said } = await shown([world.repository], [], true);
    expect(text).toContain(nameOf(102));
    expect(said).toBe('');
    expect((await problemsOf(world)).filter((problem) => problem.startsWith('misfit seal/'))).toEqual([]);
  });

  it('verify finds nothing wrong with one that is true, nor with what was given up since', async () => {
    const world = await plainWorld();
    await world.seal();
    world.putSegments(201, 220);
    expect(await problemsOf(world)).toEqual([]);
    await world.putBackup(190);
    for (let segno = 20; segno < 90; segno += 1) world.removeSegment(segno);
    world.putExpired(20, 89);
    expect((await problemsOf(world)).filter((problem) => problem.includes('seal/'))).toEqual([]);
  });
});

function spoil(memory: SealedWorld['memory'], change: (bytes: Buffer) => Buffer): void {
  const bytes = memory.content(SEAL_KEY);
  if (bytes === undefined) throw new Error('there is no seal');
  memory.put(SEAL_KEY, change(Buffer.from(bytes)));
}

/** Timelines, holes, partials, backups; then a seal; then what came, went and was given up since. */
async function randomWorld(
  random: (below: number) => number,
): Promise<{ world: SealedWorld; targets: RecoveryTarget[] }> {
  const world = new SealedWorld({ lock: LOCK, locks: 'kept' });
  const ends = [0, 120 + random(200)];
  const starts = [0, random(30)];
  fill(world, starts[1] ?? 0, ends[1] ?? 0, 1, random);
  const timelines = 1 + random(3);
  let history = '';
  for (let timeline = 2; timeline <= timelines; timeline += 1) {
    const [from = 0, to = 0] = [starts[timeline - 1], ends[timeline - 1]];
    const fork = from + 10 + random(Math.max(1, to - from - 10));
    history += `${timeline - 1}\t${formatLsn(lsn(BigInt(fork) * BigInt(GIB) + 500n))}\tno reason\n`;
    world.putHistory(timeline, history);
    starts.push(fork);
    ends.push(fork + 20 + random(150));
    fill(world, fork, ends[timeline] ?? 0, timeline, random);
    if (random(2) === 0) putPartial(world, to + 1, timeline - 1);
  }
  const on = (): number => 1 + random(timelines);
  const within = (timeline: number): number => {
    const [from = 0, to = 0] = [starts[timeline], ends[timeline]];
    return from + random(to - from + 1);
  };
  const wholeAt = within(1);
  await world.putBackup(wholeAt);
  for (let n = random(3); n > 0; n -= 1) {
    const timeline = on();
    const segno = within(timeline);
    if (segno !== wholeAt) await world.putBackup(segno, timeline);
  }
  const lose = (): void => {
    const timeline = on();
    const first = within(timeline);
    for (let segno = first; segno < first + 1 + random(9); segno += 1) {
      if (segno !== wholeAt) world.removeSegment(segno, timeline);
    }
  };
  for (let n = random(4); n > 0; n -= 1) lose();
  if (random(3) === 0) putPartial(world, within(1), 1);
  await world.seal();
  const newest = timelines;
  const end = ends[newest] ?? 0;
  fill(world, end + 1 + random(3), end + random(60), newest, random);
  if (random(3) === 0) expireSome(world, { first: starts[1] ?? 0, last: wholeAt - 1 - random(10) }, random);
  if (random(4) === 0) lose();
  const targets: RecoveryTarget[] = [{ kind: 'end' }, { kind: 'immediate' }];
  targets.push(toTime(within(on())), toLsn(within(on())));
  return { world, targets };
}

function fill(
  world: SealedWorld,
  first: number,
  last: number,
  timeline: number,
  random: (below: number) => number,
): void {
  for (let segno = first; segno <= last; segno += 1) {
    const kind = random(12);
    const lastCommitAt = `${storedAt(segno).toISOString().slice(0, -1)}000Z`;
    world.putSegment(segno, timeline, kind === 0 ? {} : kind < 3 ? { commits: 0 } : { commits: 1, lastCommitAt });
  }
}

function putPartial({ memory }: SealedWorld, segno: number, timeline: number): void {
  const key = keyOf(segno, timeline).replace(/\.zst$/, '.partial.0123456789abcdef.zst');
  memory.put(key, Buffer.from('x'), { storedAt: storedAt(segno) });
}

/** As `expire` does it: the index first; what is locked stays. */
function expireSome(
  world: SealedWorld,
  { first, last }: { first: number; last: number },
  random: (below: number) => number,
): void {
  if (last < first) return;
  world.putExpired(first, last);
  const stays = random(4) === 0 ? random(PER_LOG * 3) : 0;
  for (let segno = first; segno <= last - stays; segno += 1) world.removeSegment(segno);
}
