/**
 * Which backup, which timeline and which WAL lead to a target: decided before any byte is moved, from listings and a few heads.
 * What cannot be reached is said here, with what can.
 */
import type { TimelineId } from '../postgres/timeline.ts';
import type { ReachOptions, Remark, Verdict } from './reach-verdict.ts';
import type { PathLeg, PathSegment } from './recovery-path.ts';
import { describeTarget, type RecoveryTarget, type TimelineWish } from './recovery-target.ts';
import {
  missingBehind,
  missingOf,
  nameOf,
  wayOf,
  type MissingWal,
  type PlannedBackup,
  type Point,
  type WalEvidence,
  type Way,
} from './restore-way.ts';
import { reachTarget } from './target-reach.ts';
import { branchRemarks, timelinesOfWay } from './branch-remarks.ts';
import { chooseTimeline } from './timeline-choice.ts';
import { troubleBehind } from './wal-ahead.ts';
import type { StoredPartial } from './wal-inventory.ts';

export interface PlanRequest extends ReachOptions {
  readonly target: RecoveryTarget;
  readonly timeline: TimelineWish;
  /** `any`: the one that fits the target. `latest`: the newest, whether it fits or not. Else an identifier. */
  readonly backup: string;
}

export interface RestorePlan<B extends PlannedBackup> {
  readonly reachable: true;
  readonly backup: B;
  /** The target timeline. */
  readonly timeline: TimelineId;
  /** Whether its history file is stored, or it needs none. */
  readonly hasHistory: boolean;
  /** From the backup's timeline to the target's. */
  readonly timelines: readonly TimelineId[];
  readonly legs: readonly PathLeg[];
  readonly walFrom: PathSegment;
  readonly walTo: PathSegment;
  readonly partial: StoredPartial | undefined;
  readonly allowGap: PathSegment | undefined;
  /** Of a recovery that ends before the stored WAL does: see `troubleBehind`. */
  readonly troubleBehind: boolean;
  readonly remarks: readonly Remark[];
}

export interface NoPlan {
  readonly reachable: false;
  /** The newest backup that was tried in vain; `undefined`: none could be. */
  readonly tried: string | undefined;
  readonly why: string;
  readonly hint: string | undefined;
  /** What the WAL lacks, where that is why. */
  readonly missing: MissingWal | undefined;
  /** The nearest moments that can be reached. */
  readonly before: Point | undefined;
  readonly after: Point | undefined;
}

export async function planRestore<B extends PlannedBackup>(
  request: PlanRequest,
  backups: readonly B[],
  evidence: WalEvidence,
): Promise<RestorePlan<B> | NoPlan> {
  const newestFirst = [...backups].sort((a, b) => compare(b.stoppedMicros, a.stoppedMicros));
  const considered = newestFirst.filter((backup) => isWanted(backup, request.backup, newestFirst[0]));
  const remarks: Remark[] = [];
  let failed: { id: string; verdict: Missed; missing: MissingWal | undefined } | undefined;
  let before: Point | undefined;
  let tooLate: string | undefined;
  for (const backup of considered) {
    const late = isTooLate(backup, request.target);
    if (late !== undefined) {
      tooLate ??= late;
      continue;
    }
    const way = findWay(backup, request, evidence);
    const verdict = 'why' in way ? notThere(way) : await reachTarget(way, request.target, request, evidence);
    if (verdict.reached && !('why' in way)) {
      remarks.push(...verdict.remarks, ...(await branchRemarks(way, request.target, verdict.walTo, evidence)));
      const trouble = request.target.kind !== 'end' && (await troubleBehind(verdict.walTo, way.legs, evidence));
      return makePlan(way, verdict, { trouble, remarks }, evidence);
    }
    if (verdict.reached) continue;
    failed ??= { id: backup.id, verdict, missing: 'why' in way ? way.missing : missingBehind(way) };
    before = later(before, verdict.before);
    remarks.push({ level: 'warning', text: `backup ${backup.id} is passed over: ${verdict.why}` });
  }
  return {
    reachable: false,
    tried: failed?.id,
    why: failed?.verdict.why ?? tooLate ?? 'no backup is stored',
    hint: failed === undefined ? lateHint(request) : failed.verdict.hint,
    missing: failed?.missing,
    before,
    after: nearestAfter(newestFirst, request, evidence),
  };
}

function isWanted(backup: PlannedBackup, wish: string, newest: PlannedBackup | undefined): boolean {
  if (wish === 'any') return true;
  return wish === 'latest' ? backup === newest : backup.id === wish;
}

/** Recovery cannot go back before the end of its backup. */
function isTooLate(backup: PlannedBackup, target: RecoveryTarget): string | undefined {
  const late =
    (target.kind === 'time' && backup.stoppedMicros > target.time.unixMicros) ||
    (target.kind === 'lsn' && backup.stopLsn > target.lsn);
  return late ? `backup ${backup.id} ended after ${describeTarget(target)}, and recovery cannot go back` : undefined;
}

function lateHint({ backup }: PlanRequest): string | undefined {
  return backup === 'any' ? undefined : 'Leave out --backup to have one chosen that fits.';
}

type Missed = Extract<Verdict, { reached: false }>;

interface NoWay {
  readonly why: string;
  readonly missing: MissingWal | undefined;
}

function findWay<B extends PlannedBackup>(backup: B, request: PlanRequest, evidence: WalEvidence): Way<B> | NoWay {
  if (backup.broken !== undefined) return { why: backup.broken, missing: undefined };
  const { inventory } = evidence;
  const chosen = chooseTimeline(request.timeline, backup, inventory);
  if (chosen === undefined) {
    const wish = request.timeline.kind === 'number' ? request.timeline.timeline : backup.timeline;
    const why = `timeline ${wish} does not descend from timeline ${backup.timeline} at or after the end of backup ${backup.id}`;
    return { why, missing: undefined };
  }
  const way = wayOf(backup, chosen, inventory);
  if (way !== undefined) return way;
  const missing = missingOf(backup, chosen, inventory);
  const from = nameOf(missing.first, inventory);
  const why = `some of the WAL that backup ${backup.id} itself needs to become consistent is missing, from segment ${from} on`;
  return { why, missing };
}

function makePlan<B extends PlannedBackup>(
  way: Way<B>,
  verdict: Extract<Verdict, { reached: true }>,
  { trouble, remarks }: { trouble: boolean; remarks: readonly Remark[] },
  { inventory }: WalEvidence,
): RestorePlan<B> {
  const { timeline } = way.history;
  return {
    reachable: true,
    backup: way.backup,
    timeline,
    hasHistory: timeline === 1 || inventory.histories.has(timeline),
    timelines: timelinesOfWay(way),
    legs: way.legs,
    walFrom: { timeline: way.legs[0]?.timeline ?? timeline, segno: way.first },
    walTo: verdict.walTo,
    partial: verdict.partial,
    allowGap: verdict.allowGap,
    troubleBehind: trouble,
    remarks,
  };
}

/** The end of the first backup after the target that can be used. */
function nearestAfter(
  newestFirst: readonly PlannedBackup[],
  request: PlanRequest,
  evidence: WalEvidence,
): Point | undefined {
  const after = newestFirst.findLast(
    (backup) => isTooLate(backup, request.target) !== undefined && !('why' in findWay(backup, request, evidence)),
  );
  return after === undefined ? undefined : { micros: after.stoppedMicros, lsn: after.stopLsn };
}

function later(one: Point | undefined, other: Point | undefined): Point | undefined {
  return one === undefined || (other?.micros ?? 0n) > (one.micros ?? 0n) ? (other ?? one) : one;
}

function notThere({ why }: NoWay): Missed {
  return { reached: false, why, hint: undefined, before: undefined };
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
