import { lineage } from '../postgres/timeline-history.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import { segnoOfLsn } from '../postgres/wal-name.ts';
import { lastMoment } from './commit-search.ts';
import type { Remark } from './reach-verdict.ts';
import type { PathSegment } from './recovery-path.ts';
import type { RecoveryTarget } from './recovery-target.ts';
import { nameOf, type WalEvidence, type Way } from './restore-way.ts';
import { isStray, leftBehind, type LeftTimeline } from './timeline-choice.ts';
import { historyOf, timelinesOf, walOf } from './wal-inventory.ts';

/** From the backup's timeline to the target's. */
export function timelinesOfWay({ history, backup }: Way): TimelineId[] {
  const path = lineage(history);
  return path.slice(path.indexOf(backup.timeline));
}

/** What the choice of the timeline gives up or passes over: it is the operator's to judge. */
export async function branchRemarks(
  way: Way,
  target: RecoveryTarget,
  walTo: PathSegment,
  evidence: WalEvidence,
): Promise<Remark[]> {
  const { inventory } = evidence;
  const { timeline } = way.history;
  const onWay = timelinesOfWay(way);
  const remarks: Remark[] = way.stray.map((stray) => ({
    level: 'notice',
    text: `timeline ${stray} is ignored: nothing from where it begins is stored of it`,
  }));
  for (const left of leftBehind(way.history, inventory)) {
    if (!onWay.includes(left.timeline)) continue;
    const last = nameOf({ timeline: left.timeline, segno: left.highest }, inventory);
    const goesOn = `timeline ${left.timeline} goes on where timeline ${timeline} leaves it, up to segment ${last}`;
    const text = `${goesOn}: --target-timeline ${left.timeline} recovers that`;
    const level = (await livedThen(left, target, walTo, evidence)) ? 'warning' : 'notice';
    remarks.push({ level, text });
  }
  for (const other of timelinesOf(inventory)) {
    const history = historyOf(inventory, other);
    if (other <= timeline || way.stray.includes(other) || lineage(history).includes(timeline)) continue;
    if (walOf(inventory, other).segments.size === 0 || isStray(history, inventory)) continue;
    const text = `timeline ${other} is newer and does not descend from timeline ${timeline}: --target-timeline ${other} follows it`;
    remarks.push({ level: 'warning', text });
  }
  return remarks;
}

/** Whether a timeline that is left was still written at the target's time, so that the operator may well mean what happened there. */
async function livedThen(
  left: LeftTimeline,
  target: RecoveryTarget,
  walTo: PathSegment,
  { inventory, times }: WalEvidence,
): Promise<boolean> {
  if (target.kind !== 'time' || walTo.timeline <= left.timeline) return false;
  const first = segnoOfLsn(left.switchLsn, inventory.segmentBytes);
  const legs = [{ timeline: left.timeline, first, last: undefined }];
  const last = await lastMoment({ legs, first, last: left.highest, inventory, times });
  return last !== undefined && last.at >= target.time.unixMicros;
}
