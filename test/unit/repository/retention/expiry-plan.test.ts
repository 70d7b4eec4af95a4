import { describe, expect, it } from 'vitest';
import { rootHistory } from '../../../../src/postgres/timeline-history.ts';
import type { NeededBackup } from '../../../../src/repository/lock/kept-backups.ts';
import { planExpiry, type ExpiryPlan } from '../../../../src/repository/retention/expiry-plan.ts';
import {
  factsOfWorld,
  isWhole,
  makeWorld,
  momentsOf,
  reachOf,
  WORLD_SEGMENT,
  type World,
} from '../../../support/retention-world.ts';

const ROUNDS = 2000;
const SEED = 20261122;

function plan(world: World): ExpiryPlan {
  const { backups, windowMs, fullBackups, now, locked } = world;
  const retention = { windowMs, fullBackups };
  // As listings show it.
  const judged = backups.map((one) => ({ ...one, complete: one.complete !== false && isConsistent(world, one) }));
  return planExpiry({
    backups: judged,
    retention,
    now,
    locked,
    facts: factsOfWorld(world),
    segmentBytes: WORLD_SEGMENT,
  });
}

/** The same world after the plan was carried out. */
function expired(world: World, { going, wal }: ExpiryPlan): World {
  const gone = new Set(going.map(({ id }) => id));
  return {
    ...world,
    backups: world.backups.filter(({ id }) => !gone.has(id)),
    wal: new Map(
      [...world.wal].map(([timeline, stored]) => [
        timeline,
        new Map([...stored].filter(([segno]) => wal.has(timeline, segno))),
      ]),
    ),
  };
}

function* worlds(): Generator<{ world: World; round: string }> {
  let seed = SEED;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return (seed >>> 8) % below;
  };
  for (let round = 0; round < ROUNDS; round += 1) yield { world: makeWorld(random), round: `round ${round}` };
}

/** Restorable to the moment at which it ended. */
function isRestorable(world: World, one: NeededBackup): boolean {
  return isWhole(world, one.id) && isConsistent(world, one);
}

function isConsistent(world: World, one: NeededBackup): boolean {
  return reachOf(world, one, world.histories.get(one.timeline) ?? rootHistory(one.timeline)) !== undefined;
}

function segments(world: World): number {
  return [...world.wal.values()].reduce((sum, { size }) => sum + size, 0);
}

describe(`in ${ROUNDS} made-up repositories expiry`, () => {
  it('keeps every moment of the window that could be recovered, and removes much', () => {
    let removed = { backups: 0, segments: 0 };
    for (const { world, round } of worlds()) {
      const after = expired(world, plan(world));
      const since = world.now - world.windowMs;
      const left = momentsOf(after, since);
      expect(
        [...momentsOf(world, since)].filter((moment) => !left.has(moment)),
        round,
      ).toEqual([]);
      removed = {
        backups: removed.backups + world.backups.length - after.backups.length,
        segments: removed.segments + segments(world) - segments(after),
      };
    }
    expect(removed.backups).toBeGreaterThan(ROUNDS);
    expect(removed.segments).toBeGreaterThan(ROUNDS * 5);
  });

  it('keeps what is kept or locked, the newest backup, the newest full ones, and all that leads on from these', () => {
    for (const { world, round } of worlds()) {
      const after = expired(world, plan(world));
      const whole = world.backups
        .filter((one) => isRestorable(world, one))
        .sort((a, b) => a.stoppedAt.getTime() - b.stoppedAt.getTime());
      const newest = [...whole.slice(-1), ...whole.filter(({ type }) => type === 'full').slice(-world.fullBackups)];
      for (const one of newest) {
        expect(isWhole(after, one.id), `${round} ${one.id}`).toBe(true);
        for (const tip of factsOfWorld(world).timelines) {
          const history = world.histories.get(tip) ?? rootHistory(tip);
          expect(reachOf(after, one, history), `${round} ${one.id} to ${tip}`).toBe(reachOf(world, one, history));
        }
      }
      for (const one of world.backups) {
        const until = Math.max(one.keep ?? 0, world.locked.get(one.id) ?? 0);
        if (until > world.now) expect(after.backups, `${round} ${one.id}`).toContain(one);
      }
    }
  });

  it('leaves nothing that looks like a backup and is none', () => {
    for (const { world, round } of worlds()) {
      const after = expired(world, plan(world));
      for (const one of after.backups) {
        expect(isRestorable(after, one), `${round} ${one.id}`).toBe(isRestorable(world, one));
        if (one.parent !== undefined) {
          const had = world.backups.some(({ id }) => id === one.parent);
          expect(
            after.backups.some(({ id }) => id === one.parent),
            `${round} ${one.id}`,
          ).toBe(had);
        }
      }
    }
  });

  it('names every backup before what it builds on, and finds nothing more the second time', () => {
    for (const { world, round } of worlds()) {
      const first = plan(world);
      const order = new Map(first.going.map(({ id }, at) => [id, at]));
      for (const one of first.going) {
        const parent = order.get(one.parent ?? '');
        if (parent !== undefined) expect(parent, round).toBeGreaterThan(order.get(one.id) ?? Infinity);
      }
      const after = expired(world, first);
      const second = plan(after);
      expect(second.going, round).toEqual([]);
      expect(segments(expired(after, second)), round).toBe(segments(after));
    }
  });

  it('gives up nothing that a backup under way may have begun from', () => {
    for (const { world, round } of worlds()) {
      const { takenSince } = world;
      if (takenSince === undefined) continue;
      const after = expired(world, plan(world));
      for (const tip of factsOfWorld(world).timelines) {
        const history = world.histories.get(tip) ?? rootHistory(tip);
        const before = world.backups.filter(
          (one) =>
            isWhole(world, one.id) &&
            reachOf(world, one, history) !== undefined &&
            one.stoppedAt.getTime() <= takenSince,
        );
        const last = before.sort((a, b) => a.stoppedAt.getTime() - b.stoppedAt.getTime()).at(-1);
        if (last === undefined) continue;
        expect(isWhole(after, last.id), round).toBe(true);
        expect(reachOf(after, last, history), round).toBe(reachOf(world, last, history));
      }
    }
  });

  it('removes all that the words do not keep, where nothing is out of the ordinary', () => {
    let looked = 0;
    for (const { world, round } of worlds()) {
      if (!world.plain || world.backups.length === 0) continue;
      looked += 1;
      const { backups, now, windowMs, fullBackups } = world;
      const fulls = backups.filter(({ type }) => type === 'full').slice(-fullBackups);
      const byId = new Map(backups.map((one) => [one.id, one]));
      const rootOf = (one: NeededBackup): NeededBackup =>
        one.parent === undefined ? one : rootOf(byId.get(one.parent) as NeededBackup);
      // The last backup before the window, those in it, and the chains on the newest full ones.
      const before = backups.filter(({ stoppedAt }) => stoppedAt.getTime() <= now - windowMs).at(-1);
      const serving = backups.filter(
        (one) => one === before || one.stoppedAt.getTime() > now - windowMs || fulls.includes(rootOf(one)),
      );
      const kept = new Set(serving);
      for (const one of serving)
        for (let at: NeededBackup | undefined = one; at !== undefined;) {
          kept.add(at);
          at = byId.get(at.parent ?? '');
        }
      const after = expired(world, plan(world));
      expect(
        after.backups.map(({ id }) => id),
        round,
      ).toEqual(backups.filter((one) => kept.has(one)).map(({ id }) => id));
      const size = BigInt(WORLD_SEGMENT);
      const oldest =
        serving.reduce((low, { startLsn }) => (startLsn < low ? startLsn : low), serving[0]?.startLsn ?? 0n) / size;
      const own = [...kept].map((one) => [one.startLsn / size, (one.stopLsn - 1n) / size] as const);
      const expected = [...(world.wal.values().next().value ?? new Map<bigint, number>()).keys()].filter(
        (segno) => segno >= oldest || own.some(([first, last]) => first <= segno && segno <= last),
      );
      expect([...(after.wal.values().next().value ?? new Map<bigint, number>()).keys()], round).toEqual(expected);
    }
    expect(looked).toBeGreaterThan(ROUNDS / 8);
  });
});
