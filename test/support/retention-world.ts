import { lsn, type Lsn } from '../../src/postgres/lsn.ts';
import { rootHistory, timelinesOfSegment, type TimelineHistory } from '../../src/postgres/timeline-history.ts';
import { timelineId, type TimelineId } from '../../src/postgres/timeline.ts';
import { segnoBefore, segnoOfLsn } from '../../src/postgres/wal-name.ts';
import { liesOn } from '../../src/repository/coverage.ts';
import { OPEN, type HistoryFacts, type NeededBackup } from '../../src/repository/lock/kept-backups.ts';

export const WORLD_SEGMENT: number = 1024 * 1024 * 1024;
export const HOUR: number = 3_600_000;

/** What lies in a made-up repository. */
export interface World {
  backups: NeededBackup[];
  /** Of each timeline the stored segments, and when each was. */
  wal: Map<TimelineId, Map<bigint, number>>;
  histories: Map<TimelineId, TimelineHistory>;
  now: number;
  windowMs: number;
  fullBackups: number;
  locked: Map<string, number>;
  takenSince: number | undefined;
  /** One timeline, nothing missing, nothing kept, nothing locked, and clocks that agree. */
  plain: boolean;
}

/** Lets a cluster live: it writes, is backed up, is promoted, is recovered to the past, and loses this and that. */
export function makeWorld(random: (below: number) => number): World {
  const plain = random(4) === 0;
  const life = new Life(random, plain);
  for (let step = 0; step < 5 + random(40); step += 1) life.step();
  return life.world();
}

class Life {
  readonly #random: (below: number) => number;
  readonly #plain: boolean;
  readonly #backups: NeededBackup[] = [];
  readonly #wal = new Map<TimelineId, Map<bigint, number>>();
  readonly #histories = new Map<TimelineId, TimelineHistory>();
  #timeline = timelineId(1);
  #newest = 1;
  #at: bigint = 40n;
  #clock = HOUR;
  #taken: number | undefined;

  constructor(random: (below: number) => number, plain: boolean) {
    this.#random = random;
    this.#plain = plain;
  }

  step(): void {
    const kind = this.#random(this.#plain ? 7 : 10);
    if (kind < 3) this.#write(1 + this.#random(6));
    else if (kind < 7) this.#backUp();
    else if (kind === 7) this.#promote(this.#at);
    else if (kind === 8) this.#promote(lsn((this.#at * BigInt(1 + this.#random(10))) / 10n));
    else this.#lose();
  }

  world(): World {
    const random = this.#random;
    const locked = new Map<string, number>();
    const now = this.#clock + random(60) * HOUR - (this.#plain ? 0 : random(2) * HOUR);
    if (!this.#plain) {
      for (const { id } of this.#backups)
        if (random(12) === 0) locked.set(id, random(4) === 0 ? OPEN : now + random(9) * HOUR);
    }
    return {
      backups: this.#backups,
      wal: this.#wal,
      histories: this.#histories,
      now,
      windowMs: random(5) === 0 ? 0 : random(40) * HOUR,
      fullBackups: 1 + random(3),
      locked,
      takenSince: this.#plain || random(4) > 0 ? undefined : this.#taken,
      plain: this.#plain,
    };
  }

  #write(segments: number): void {
    for (let n = 0; n < segments; n += 1) {
      const segno = segnoOfLsn(this.#at as Lsn, WORLD_SEGMENT);
      this.#stored(this.#timeline).set(segno, this.#clock);
      this.#at = (segno + 1n) * BigInt(WORLD_SEGMENT) + BigInt(40 + this.#random(1000));
      this.#clock += this.#random(3) * HOUR + 1;
    }
  }

  #backUp(): void {
    const random = this.#random;
    const start = this.#at;
    this.#taken = random(3) === 0 ? this.#clock : this.#taken;
    this.#write(1 + random(2));
    const history = this.#historyOf(this.#timeline);
    const parents = this.#backups.filter((one) => liesOn({ ...one }, history) && one.stopLsn <= start);
    const parent = random(2) === 0 ? parents.at(-1 - random(2)) : undefined;
    const odd = (below: number): boolean => !this.#plain && random(below) === 0;
    const keep = odd(8) ? [OPEN, this.#clock + random(80) * HOUR][random(2)] : undefined;
    this.#backups.push({
      id: `b${String(this.#backups.length).padStart(3, '0')}`,
      type: parent === undefined ? 'full' : 'incremental',
      parent: parent?.id,
      timeline: this.#timeline,
      startLsn: lsn(start),
      stopLsn: lsn(segnoOfLsn(this.#at as Lsn, WORLD_SEGMENT) * BigInt(WORLD_SEGMENT)),
      // A server whose clock is ahead.
      stoppedAt: new Date(this.#clock + (odd(15) ? random(30) * HOUR : 0)),
      keep,
      ...(odd(15) ? { complete: false } : {}),
    });
    this.#clock += random(5) * HOUR + 1;
  }

  /** A server goes on from here as a new timeline; the old one may have written more, or go on later. */
  #promote(at: bigint): void {
    const from = this.#historyOf(this.#timeline);
    const next = timelineId((this.#newest += 1));
    this.#histories.set(next, {
      timeline: next,
      entries: [...from.entries, { timeline: this.#timeline, switchLsn: lsn(at), reason: 'x' }],
    });
    if (this.#random(4) === 0) this.#write(1 + this.#random(3));
    if (this.#random(8) === 0) return;
    this.#timeline = next;
    this.#at = at;
  }

  #lose(): void {
    const stored = this.#stored(this.#timeline);
    const [segno] = [...stored.keys()].slice(this.#random(stored.size + 1));
    if (segno !== undefined) stored.delete(segno);
  }

  #stored(timeline: TimelineId): Map<bigint, number> {
    const known = this.#wal.get(timeline) ?? new Map<bigint, number>();
    this.#wal.set(timeline, known);
    return known;
  }

  #historyOf(timeline: TimelineId): TimelineHistory {
    return this.#histories.get(timeline) ?? rootHistory(timeline);
  }
}

export function factsOfWorld({ wal, histories, backups, takenSince }: World): HistoryFacts {
  const timelines = [...new Set([...wal.keys(), ...histories.keys(), ...backups.map(({ timeline }) => timeline)])];
  return {
    timelines: timelines.sort((a, b) => a - b),
    historyOf: (timeline) => histories.get(timeline) ?? rootHistory(timeline),
    lastStoredAt: (timeline) => {
      const times = [...(wal.get(timeline) ?? new Map<bigint, number>()).values()];
      return times.length === 0 ? undefined : Math.max(...times);
    },
    takenSince,
  };
}

/** Whether the backup and all that it builds on are there. */
export function isWhole(world: World, id: string): boolean {
  const one = world.backups.find((each) => each.id === id);
  if (one === undefined || one.complete === false) return false;
  return one.parent === undefined ? one.type === 'full' : isWhole(world, one.parent);
}

/** Segment after segment, as recovery along a history reads them; the last one that it comes to. `undefined`: not consistent. */
export function reachOf(world: World, one: NeededBackup, history: TimelineHistory): bigint | undefined {
  if (!liesOn({ ...one }, history)) return undefined;
  const isStored = (segno: bigint): boolean => {
    const [timeline] = timelinesOfSegment(history, segno, WORLD_SEGMENT);
    return timeline !== undefined && world.wal.get(timeline)?.has(segno) === true;
  };
  let segno = segnoOfLsn(one.startLsn, WORLD_SEGMENT);
  while (isStored(segno)) segno += 1n;
  return segno > segnoBefore(one.stopLsn, WORLD_SEGMENT) ? segno - 1n : undefined;
}

/** Every moment (the end of a segment, on a timeline) that one can get to, as `timeline segment`. */
export function momentsOf(world: World, since: number): Set<string> {
  const found = new Set<string>();
  for (const tip of factsOfWorld(world).timelines) {
    const history = world.histories.get(tip) ?? rootHistory(tip);
    for (const one of world.backups) {
      if (!isWhole(world, one.id)) continue;
      const reach = reachOf(world, one, history);
      if (reach === undefined) continue;
      for (let segno = segnoBefore(one.stopLsn, WORLD_SEGMENT); segno <= reach; segno += 1n) {
        const [timeline] = timelinesOfSegment(history, segno, WORLD_SEGMENT);
        const at = timeline === undefined ? undefined : world.wal.get(timeline)?.get(segno);
        if (at !== undefined && at >= since) found.add(`${tip} ${segno}`);
      }
    }
  }
  return found;
}
