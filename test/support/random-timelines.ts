/** Clusters that fail over, go back to the past, lose WAL and history files: what is stored of them in the end. */
import { SeededRandom } from './seeded-random.ts';
import type { StoredTimeline } from './wal-inventory.ts';

export const SEGMENT: number = 16 * 1024 * 1024;

export interface MadeBackup {
  id: string;
  timeline: number;
  start: number;
  stop: number;
  /** Minute of the day in which it ended. */
  minute: number;
}

export interface World {
  stored: Record<number, StoredTimeline>;
  /** Of timelines whose history is stored: the ancestors, oldest first, and where each was left. */
  histories: Map<number, { timeline: number; lsn: number }[]>;
  /** `1:7` */
  segments: Set<string>;
  partials: Set<string>;
  backups: MadeBackup[];
  /** Minute of the last commit in a stored segment, by `1:7`; without one: no transaction ended in it. */
  commits: Map<string, number>;
}

interface Timeline {
  id: number;
  ancestors: { timeline: number; lsn: number }[];
  begin: number;
  end: number;
  alive: boolean;
}

/** Every minute something happens. */
class Cluster {
  readonly timelines: Timeline[] = [{ id: 1, ancestors: [], begin: 0, end: SEGMENT + 1000, alive: true }];
  readonly backups: MadeBackup[] = [];
  readonly written = new Map<string, number>();
  readonly #random: SeededRandom;
  #minute = 1;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  live(): void {
    this.#minute += 1;
    const alive = this.timelines.filter((one) => one.alive);
    const deed = this.#random.below(6);
    if (alive.length === 0 || deed === 0) this.#promote(this.#random.pick(this.timelines));
    else if (deed <= 2) this.#backUp(this.#random.pick(alive));
    else this.#write(this.#random.pick(alive), this.#random.between(1000, 3 * SEGMENT));
  }

  #write(timeline: Timeline, bytes: number): void {
    const from = Math.floor(timeline.end / SEGMENT);
    timeline.end += bytes;
    // Few transactions: in some segments none ends.
    for (let segno = from; segno <= Math.floor(timeline.end / SEGMENT); segno += 1) {
      if (!this.#random.oneIn(5)) this.written.set(`${timeline.id}:${segno}`, this.#minute);
    }
  }

  /** Near the end, as a failover does it, or anywhere before, as recovery to a moment: even before the timeline that it follows began. */
  #promote(parent: Timeline): void {
    const least = SEGMENT + 100;
    const near = Math.max(least, parent.end - this.#random.below(SEGMENT));
    const fork = this.#random.oneIn(3) ? this.#random.between(least, parent.end) : near;
    const id = Math.max(...this.timelines.map((one) => one.id)) + 1;
    const ancestors = [...parent.ancestors, { timeline: parent.id, lsn: fork }];
    const child: Timeline = { id, ancestors, begin: fork, end: fork, alive: true };
    this.timelines.push(child);
    if (!this.#random.oneIn(4)) this.#write(child, this.#random.between(100, 2 * SEGMENT));
    if (this.#random.oneIn(2)) parent.alive = false;
  }

  #backUp(timeline: Timeline): void {
    const start = Math.max(timeline.end, SEGMENT + 40);
    this.#write(timeline, this.#random.between(256, 2 * SEGMENT));
    const { id } = timeline;
    this.backups.push({ id: `B${this.backups.length}`, timeline: id, start, stop: timeline.end, minute: this.#minute });
    this.#write(timeline, 100);
  }
}

export function randomWorld(seed: number): World {
  const random = new SeededRandom(seed);
  const cluster = new Cluster(random);
  for (let deeds = random.between(4, 22); deeds > 0; deeds -= 1) cluster.live();
  const segments = new Set<string>();
  const partials = new Set<string>();
  const histories: World['histories'] = new Map();
  for (const { id, begin, end, alive, ancestors } of cluster.timelines) {
    const last = Math.floor(end / SEGMENT);
    for (let segno = Math.max(1, Math.floor(begin / SEGMENT)); segno < last; segno += 1) segments.add(`${id}:${segno}`);
    if (alive && random.oneIn(2)) segments.add(`${id}:${last}`);
    else if (!alive && random.oneIn(2)) partials.add(`${id}:${last}`);
    if (id > 1 && !random.oneIn(12)) histories.set(id, ancestors);
  }
  lose(random, segments, partials);
  const { backups, written: commits } = cluster;
  return { stored: storedOf(segments, partials, histories), histories, segments, partials, backups, commits };
}

/** Nothing, single segments, rows of them, or all that is old. */
function lose(random: SeededRandom, segments: Set<string>, partials: Set<string>): void {
  for (let losses = random.oneIn(3) ? 0 : random.between(1, 4); losses > 0 && segments.size > 0; losses -= 1) {
    const [timeline = 0, segno = 0] = random
      .pick([...segments])
      .split(':')
      .map(Number);
    for (let row = random.oneIn(3) ? random.between(1, 4) : 1; row > 0; row -= 1) {
      segments.delete(`${timeline}:${segno + row - 1}`);
    }
  }
  // Where a timeline begins, the one that it left has a segment of the same number.
  const begun = [...segments].filter((key) => !key.startsWith('1:'));
  if (begun.length > 0 && random.oneIn(3)) {
    const [timeline = ''] = random.pick(begun).split(':');
    segments.delete(begun.find((key) => key.startsWith(`${timeline}:`)) ?? '');
  }
  if (random.oneIn(5)) {
    const oldest = random.between(1, 10);
    for (const key of [...segments, ...partials]) {
      if (Number(key.split(':')[1]) < oldest && segments.delete(key)) partials.delete(key);
    }
  }
}

function storedOf(segments: Set<string>, partials: Set<string>, histories: World['histories']): World['stored'] {
  const stored: Record<number, StoredTimeline> = {};
  const of = (keys: Set<string>, timeline: number): number[] =>
    [...keys]
      .map((key) => key.split(':').map(Number) as [number, number])
      .filter(([id]) => id === timeline)
      .map(([, segno]) => segno)
      .sort((a, b) => a - b);
  const ids = new Set([...segments, ...partials].map((key) => Number(key.split(':')[0])).concat([...histories.keys()]));
  for (const id of ids) {
    const found: StoredTimeline = {};
    const whole = of(segments, id);
    const begun = of(partials, id);
    if (whole.length > 0) found.segments = whole.join(' ');
    if (begun.length > 0) found.partials = begun;
    const ancestors = histories.get(id);
    if (ancestors !== undefined) {
      found.history = ancestors.map(({ timeline, lsn }) => `${timeline}\t0/${lsn.toString(16)}\tx\n`).join('');
    }
    stored[id] = found;
  }
  return stored;
}
