/**
 * Where recovery leads, as anybody would work it out by hand: segment by segment, with nothing clever. The judgements of the program are
 * held against it.
 */
import { SEGMENT, type MadeBackup, type World } from './random-timelines.ts';

export interface Place {
  timeline: number;
  segno: number;
}

/** Beyond any segment that a made world has. */
const FAR = 400;

export const segnoOf = (lsn: number): number => Math.floor(lsn / SEGMENT);
/** The last segment that is needed up to this position. */
export const segnoBefore = (lsn: number): number => Math.floor((lsn - 1) / SEGMENT);
const keyOf = ({ timeline, segno }: Place): string => `${timeline}:${segno}`;

export class SlowRecovery {
  readonly world: World;

  constructor(world: World) {
    this.world = world;
  }

  get timelines(): number[] {
    const { segments, partials, histories } = this.world;
    const ids = [...segments, ...partials].map((key) => Number(key.split(':')[0]));
    return [...new Set([...ids, ...histories.keys()])].sort((a, b) => a - b);
  }

  ancestors(timeline: number): { timeline: number; lsn: number }[] {
    return this.world.histories.get(timeline) ?? [];
  }

  /** Newest first, each with the segment that it begins in: the order in which PostgreSQL asks for a segment (expectedTLEs). */
  lineage(timeline: number): Place[] {
    const path: Place[] = [];
    let begin = 0;
    for (const { timeline: id, lsn } of this.ancestors(timeline)) {
      path.unshift({ timeline: id, segno: begin });
      begin = segnoOf(lsn);
    }
    return [{ timeline, segno: begin }, ...path];
  }

  /** The timeline whose copy of a segment counts on the way to `target`. */
  owner(target: number, segno: number): Place {
    const begun = this.lineage(target).find((one) => one.segno <= segno);
    if (begun === undefined) throw new Error('the oldest begins at 0');
    return { timeline: begun.timeline, segno };
  }

  isStored(place: Place): boolean {
    return this.world.segments.has(keyOf(place));
  }

  hasPartial(place: Place): boolean {
    return this.world.partials.has(keyOf(place));
  }

  /** The highest segment that is stored of a timeline, or that its partial is of; -1: none. */
  highest(timeline: number): number {
    for (let segno = FAR; segno >= 0; segno -= 1) {
      if (this.isStored({ timeline, segno }) || this.hasPartial({ timeline, segno })) return segno;
    }
    return -1;
  }

  /** Segments without which something that is stored cannot be reached from the first that is. */
  gaps(): string[] {
    const missing = new Set<string>();
    for (const target of this.timelines) {
      const highest = this.highest(target);
      // What its partial holds is not more than that the segments before it were there.
      const top = this.isStored({ timeline: target, segno: highest }) ? highest : highest - 1;
      let begun = false;
      for (let segno = 0; segno <= top; segno += 1) {
        const place = this.owner(target, segno);
        if (this.isStored(place)) begun = true;
        else if (begun) missing.add(keyOf(place));
      }
    }
    return [...missing].sort();
  }

  /** Whether the backup was ended before the way to `target` leaves its timeline. */
  liesOn({ timeline, stop }: MadeBackup, target: number): boolean {
    if (timeline === target) return true;
    const ancestors = this.ancestors(target);
    const at = ancestors.findIndex((one) => one.timeline === timeline);
    // No byte of it may belong to a newer timeline, nor lie behind where its own was left.
    return at >= 0 && ancestors.every(({ lsn }, index) => index < at || stop <= lsn);
  }

  /** The last segment before the first that is missing on the way; `undefined`: the backup does not become consistent. */
  reach(backup: MadeBackup, target: number): { last: Place; missing: Place; next: Place | undefined } | undefined {
    if (!this.liesOn(backup, target)) return undefined;
    let segno = segnoOf(backup.start);
    while (this.isStored(this.owner(target, segno))) segno += 1;
    if (segno <= segnoBefore(backup.stop)) return undefined;
    let next: Place | undefined;
    for (let beyond = segno + 1; beyond <= FAR && next === undefined; beyond += 1) {
      const place = this.owner(target, beyond);
      if (this.isStored(place) || this.hasPartial(place)) next = place;
    }
    return { last: this.owner(target, segno - 1), missing: this.owner(target, segno), next };
  }

  /** `timeline backup: last segment`, for each backup that leads to the end of each timeline. */
  windows(): string[] {
    return this.timelines.flatMap((timeline) =>
      this.world.backups.flatMap((backup) => {
        const last = this.reach(backup, timeline)?.last;
        return last?.timeline === timeline ? [`${timeline} ${backup.id}: ${last.segno}`] : [];
      }),
    );
  }

  isStray(timeline: number): boolean {
    const fork = this.ancestors(timeline).at(-1);
    return fork !== undefined && this.highest(timeline) < segnoOf(fork.lsn);
  }

  /** The newest timeline that descends from the backup's, and of which there is something. */
  newest(backup: MadeBackup): number {
    const able = this.timelines.filter(
      (one) => one !== backup.timeline && this.liesOn(backup, one) && !this.isStray(one),
    );
    return able.at(-1) ?? backup.timeline;
  }

  /** Whether `walhold-fetch` calls an absent segment a hole: a higher one is stored, on its timeline or on one that left it there or later. */
  isHole(place: Place): boolean {
    return this.#behind(place).some((other) => this.highest(other) > place.segno);
  }

  /** The same, or that segment itself on one that left it there: to be allowed as an end, needed or not. */
  mayBeHole({ timeline, segno }: Place): boolean {
    return this.#behind({ timeline, segno }).some(
      (other) => this.highest(other) >= (other === timeline ? segno + 1 : segno),
    );
  }

  #behind({ timeline, segno }: Place): number[] {
    return this.timelines.filter((other) => {
      const left = this.ancestors(other).find((one) => one.timeline === timeline)?.lsn;
      return other === timeline || (left !== undefined && segnoOf(left) >= segno);
    });
  }

  /**
   * What a server does that recovers from a backup towards `target`, with `walhold-fetch` as its command, as XLogFileReadAnyTLI asks:
   * newest timeline first, none that began later, none older than the last that was read. `refused`: it stops with an error.
   * `allowGap`: that segment's absence is an end. `local`: lies in its `pg_wal`. Answers each segment that was read.
   */
  recover(
    backup: MadeBackup,
    target: number,
    { allowGap, local }: { allowGap: Place | undefined; local: Place | undefined },
  ): { read: Place[]; end: 'end' | 'refused' } {
    const read: Place[] = [];
    let newestRead = 0;
    for (let segno = segnoOf(backup.start); ; segno += 1) {
      let found: Place | undefined;
      for (const { timeline, segno: begin } of this.lineage(target)) {
        if (found !== undefined || timeline < newestRead || begin > segno) continue;
        const place = { timeline, segno };
        const answer = this.#fetch(place, target, allowGap);
        if (answer === 'refused') return { read, end: 'refused' };
        if (answer === 'served' || (local !== undefined && keyOf(local) === keyOf(place))) found = place;
      }
      if (found === undefined) return { read, end: 'end' };
      read.push(found);
      // What a promotion left has an end in it.
      if (local !== undefined && keyOf(local) === keyOf(found)) return { read, end: 'end' };
      newestRead = found.timeline;
    }
  }

  #fetch(place: Place, target: number, allowGap: Place | undefined): 'served' | 'absent' | 'refused' {
    const path = this.lineage(target).map(({ timeline }) => timeline);
    const isLeft = allowGap !== undefined && path.includes(place.timeline) && path.includes(allowGap.timeline);
    if (isLeft && allowGap.segno === place.segno && place.timeline < allowGap.timeline) return 'absent';
    const stray = this.leadsPastFork(place, target);
    if (this.isStored(place) && !stray) return 'served';
    if (allowGap !== undefined && keyOf(allowGap) === keyOf(place)) return 'absent';
    return stray || this.isHole(place) ? 'refused' : 'absent';
  }

  /** Behind the fork, on the way to a timeline of which not one segment is stored. */
  leadsPastFork(place: Place, target: number): boolean {
    const left = this.ancestors(target).find((one) => one.timeline === place.timeline)?.lsn;
    if (left === undefined || place.segno < segnoOf(left)) return false;
    const path = this.lineage(target).map(({ timeline }) => timeline);
    const after = path.slice(0, path.indexOf(place.timeline));
    return ![...this.world.segments].some((key) => after.includes(Number(key.split(':')[0])));
  }
}
