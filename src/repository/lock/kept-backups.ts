/**
 * Until when backups are needed. Pure: what `lock` protects and what may ever be removed follow from the same arithmetic.
 *
 * A backup is needed for as long as the window holds a moment that can be reached from it and from no newer one: until the next
 * newer backup on the same history ended, and a window longer. The newest backup and the newest full ones have no known end, and
 * nor has any without a window. A chain is needed as long as the last backup in it.
 */
import type { Lsn } from '../../postgres/lsn.ts';
import type { TimelineHistory } from '../../postgres/timeline-history.ts';
import type { TimelineId } from '../../postgres/timeline.ts';
import { liesOn } from '../coverage.ts';

/** Milliseconds since 1970, or `OPEN`. */
export type End = number;
/** Needed, and nobody can say for how long. */
export const OPEN: End = Infinity;

/** What must be known of a backup. */
export interface NeededBackup {
  readonly id: string;
  readonly type: 'full' | 'incremental';
  /** What it is an increment to; `undefined` of a full one. */
  readonly parent: string | undefined;
  readonly timeline: TimelineId;
  readonly startLsn: Lsn;
  readonly stopLsn: Lsn;
  readonly stoppedAt: Date;
  /** Kept for longer than its turn; `OPEN`: for ever. */
  readonly keep: End | undefined;
  /** `false`: objects of it, or WAL that makes it consistent, are known to be missing. Then it takes no older one's place. */
  readonly complete?: boolean;
}

export interface Retention {
  readonly windowMs: number | undefined;
  readonly fullBackups: number;
}

export interface HistoryFacts {
  /** Every timeline of which WAL, a history or a backup is stored. */
  readonly timelines: readonly TimelineId[];
  readonly historyOf: (timeline: TimelineId) => TimelineHistory;
  /** When the last segment of a timeline was stored; `undefined`: none is. */
  readonly lastStoredAt: (timeline: TimelineId) => number | undefined;
  /**
   * When the first of the backups that are being taken began (ms since 1970); `undefined`: none is known. What it starts from or builds
   * on is not known before it ends, so that nothing newer than the last backup before it is given up.
   */
  readonly takenSince?: number | undefined;
}

/** Ends of one backup; those that have passed are in it too. */
export interface BackupEnds {
  readonly backup: NeededBackup;
  /** Whether it and all that it builds on are there. One that is not serves nobody, and takes no older one's place. */
  readonly restorable: boolean;
  /** For its turn alone: the WAL that leads on from it is needed so long. */
  readonly serves: End;
  /** For its turn or by `--keep`: the WAL that makes it consistent. */
  readonly alone: End;
  /** And for what builds on it: its objects. */
  readonly objects: End;
}

/** The ends of every backup, oldest first. */
export function backupEnds(
  backups: readonly NeededBackup[],
  retention: Retention,
  facts: HistoryFacts,
): readonly BackupEnds[] {
  const rising = [...backups].sort(byStop);
  const chains = new Chains(rising);
  const serves = servingEnds(rising, chains, retention, facts);
  const alone = new Map(rising.map((one) => [one.id, Math.max(serves.get(one.id) ?? OPEN, one.keep ?? -Infinity)]));
  const objects = new Map(alone);
  for (const one of rising) {
    for (const ancestor of chains.ancestors(one)) {
      objects.set(ancestor.id, Math.max(objects.get(ancestor.id) ?? OPEN, alone.get(one.id) ?? OPEN));
    }
  }
  return rising.map((backup) => ({
    backup,
    restorable: chains.isWhole(backup),
    serves: serves.get(backup.id) ?? OPEN,
    alone: alone.get(backup.id) ?? OPEN,
    objects: objects.get(backup.id) ?? OPEN,
  }));
}

function servingEnds(
  rising: readonly NeededBackup[],
  chains: Chains,
  { windowMs, fullBackups }: Retention,
  facts: HistoryFacts,
): Map<string, End> {
  if (windowMs === undefined) return new Map(rising.map(({ id }) => [id, OPEN]));
  const whole = rising.filter((one) => chains.isWhole(one));
  const newest = whole.at(-1);
  const fulls = new Set(
    whole
      .filter(({ type }) => type === 'full')
      .slice(-fullBackups)
      .map(({ id }) => id),
  );
  const ends = new Map<string, End>();
  for (const one of rising) {
    const stays = newest === undefined || one === newest || fulls.has(chains.rootOf(one).id);
    ends.set(one.id, stays ? OPEN : 0);
  }
  const onEach = facts.timelines.map((timeline) => ({
    timeline,
    rising: rising.filter((one) => liesOn(pointOf(one), facts.historyOf(timeline))),
  }));
  for (const { timeline, rising: on } of onEach) {
    for (const one of sinceTaken(on, chains, facts)) ends.set(one.id, OPEN);
    let next: NeededBackup | undefined;
    for (const one of on.toReversed()) {
      const last = next?.stoppedAt.getTime() ?? endOfBranch(facts.lastStoredAt(timeline), one, newest);
      ends.set(one.id, Math.max(ends.get(one.id) ?? OPEN, last + windowMs));
      if (chains.isWhole(one)) next = one;
    }
  }
  return ends;
}

/** What a backup that is being taken may build on, or have begun before: of those on one history, in order of their ends. */
function sinceTaken(
  on: readonly NeededBackup[],
  chains: Chains,
  { takenSince }: HistoryFacts,
): readonly NeededBackup[] {
  if (takenSince === undefined) return [];
  return on.slice(
    Math.max(
      0,
      on.findLastIndex((one) => chains.isWhole(one) && one.stoppedAt.getTime() <= takenSince),
    ),
  );
}

/** The last moment that a backup alone leads to, on a timeline with no newer one. */
function endOfBranch(lastStoredAt: number | undefined, one: NeededBackup, newest: NeededBackup | undefined): End {
  const last = Math.max(lastStoredAt ?? 0, one.stoppedAt.getTime());
  // A branch that still grew when the newest backup of all was taken may be growing now.
  return newest === undefined || last > newest.stoppedAt.getTime() ? OPEN : last;
}

/** What builds on what. */
class Chains {
  readonly #byId: ReadonlyMap<string, NeededBackup>;
  readonly #roots = new Map<string, NeededBackup>();
  /** What is incomplete, and all that builds on it. */
  readonly #broken = new Set<string>();

  constructor(backups: readonly NeededBackup[]) {
    this.#byId = new Map(backups.map((one) => [one.id, one]));
    // A parent begins before its child: a record that says otherwise is believed to build on nothing.
    for (const one of [...backups].sort(byChain)) {
      const parent = this.#parentOf(one);
      this.#roots.set(one.id, parent === undefined ? one : (this.#roots.get(parent.id) ?? one));
      if (one.complete === false || (parent !== undefined && this.#broken.has(parent.id))) this.#broken.add(one.id);
    }
  }

  /** Everything that this one builds on, nearest first. */
  *ancestors(one: NeededBackup): Generator<NeededBackup> {
    for (let at = this.#parentOf(one); at !== undefined; at = this.#parentOf(at)) yield at;
  }

  rootOf(one: NeededBackup): NeededBackup {
    return this.#roots.get(one.id) ?? one;
  }

  isWhole(one: NeededBackup): boolean {
    return this.rootOf(one).type === 'full' && !this.#broken.has(one.id);
  }

  #parentOf(one: NeededBackup): NeededBackup | undefined {
    const parent = one.parent === undefined ? undefined : this.#byId.get(one.parent);
    return parent !== undefined && byChain(parent, one) < 0 ? parent : undefined;
  }
}

/** What builds on another sorts behind it. By WAL: the clocks of servers may disagree, and be set back. */
export function byChain(a: NeededBackup, b: NeededBackup): number {
  if (a.startLsn !== b.startLsn) return a.startLsn < b.startLsn ? -1 : 1;
  if (a.stopLsn !== b.stopLsn) return a.stopLsn < b.stopLsn ? -1 : 1;
  return byStop(a, b);
}

function byStop(a: NeededBackup, b: NeededBackup): number {
  return a.stoppedAt.getTime() - b.stoppedAt.getTime() || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

function pointOf({ id, timeline, startLsn, stopLsn, stoppedAt }: NeededBackup): Parameters<typeof liesOn>[0] {
  return { id, timeline, startLsn, stopLsn, stoppedAt };
}
