import type { Lsn } from '../postgres/lsn.ts';
import { forkPoint, type TimelineHistory } from '../postgres/timeline-history.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import { segnoOfLsn } from '../postgres/wal-name.ts';
import { liesOn, type BackupPoint } from './coverage.ts';
import type { TimelineWish } from './recovery-target.ts';
import { highestStored, historyOf, timelinesOf, walOf, type WalInventory } from './wal-inventory.ts';

/** The timeline that recovery from a backup follows. */
export interface ChosenTimeline {
  readonly history: TimelineHistory;
  /** Newer ones that were passed over: of them nothing from their fork on is stored. */
  readonly stray: readonly TimelineId[];
}

/** `undefined`: the backup does not lie on the timeline that was wished for. */
export function chooseTimeline(
  wish: TimelineWish,
  backup: BackupPoint,
  inventory: WalInventory,
): ChosenTimeline | undefined {
  if (wish.kind === 'number') {
    const history = historyOf(inventory, wish.timeline);
    return liesOn(backup, history) ? { history, stray: [] } : undefined;
  }
  if (wish.kind === 'current') return { history: historyOf(inventory, backup.timeline), stray: [] };
  const stray: TimelineId[] = [];
  for (const timeline of timelinesOf(inventory).toReversed()) {
    const history = historyOf(inventory, timeline);
    if (timeline === backup.timeline || !liesOn(backup, history)) continue;
    if (isStray(history, inventory)) stray.push(timeline);
    else return { history, stray };
  }
  return { history: historyOf(inventory, backup.timeline), stray };
}

/** Whether of a timeline nothing is stored from the segment on in which it left its parent. */
export function isStray(history: TimelineHistory, inventory: WalInventory): boolean {
  const fork = forkPoint(history);
  if (fork === undefined) return false;
  const highest = highestStored(walOf(inventory, history.timeline));
  return highest === undefined || highest < segnoOfLsn(fork, inventory.segmentBytes);
}

/** An ancestor of which WAL beyond the point where it is left is stored: what the way gives up. */
export interface LeftTimeline {
  readonly timeline: TimelineId;
  readonly switchLsn: Lsn;
  /** The highest segment of it that is stored. */
  readonly highest: bigint;
}

export function leftBehind(history: TimelineHistory, inventory: WalInventory): LeftTimeline[] {
  return history.entries.flatMap(({ timeline, switchLsn }) => {
    const highest = walOf(inventory, timeline).segments.runs.at(-1)?.last;
    const further = highest !== undefined && highest > segnoOfLsn(switchLsn, inventory.segmentBytes);
    return further ? [{ timeline, switchLsn, highest }] : [];
  });
}

/**
 * Whether the absence of this segment is a hole by the rule of `walhold-fetch`, or may be: something higher is stored on its
 * timeline, or something at all from there on of a timeline that left it there or later.
 */
export function countsAsHole(timeline: TimelineId, segno: bigint, inventory: WalInventory): boolean {
  return timelinesOf(inventory).some((other) => {
    const highest = highestStored(walOf(inventory, other));
    if (highest === undefined) return false;
    if (other === timeline) return highest > segno;
    const left = historyOf(inventory, other).entries.find((entry) => entry.timeline === timeline)?.switchLsn;
    return left !== undefined && segnoOfLsn(left, inventory.segmentBytes) >= segno && highest >= segno;
  });
}
