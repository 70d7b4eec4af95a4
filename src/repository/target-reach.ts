/** Whether a way leads to a target. Pure but for the heads that it has read. */
import { formatLsn, type Lsn } from '../postgres/lsn.ts';
import { formatIso, microsFromMs } from '../postgres/timestamp.ts';
import { segnoBefore, segnoOfLsn } from '../postgres/wal-name.ts';
import { firstLaterThan, lastMoment, type Moment } from './commit-search.ts';
import {
  describeHole,
  endPoint,
  reached,
  stretchOf,
  type ReachOptions,
  type Remark,
  type Verdict,
} from './reach-verdict.ts';
import { legOf, type PathSegment } from './recovery-path.ts';
import type { RecoveryTarget } from './recovery-target.ts';
import { nameOf, partialFor, type Point, type WalEvidence, type Way } from './restore-way.ts';
import { wayEnd } from './wal-end.ts';
import type { StoredPartial, WalInventory } from './wal-inventory.ts';

export async function reachTarget(
  way: Way,
  target: RecoveryTarget,
  options: ReachOptions,
  evidence: WalEvidence,
): Promise<Verdict> {
  switch (target.kind) {
    case 'time':
      return await reachTime(way, target.time.unixMicros, options.exclusive, evidence);
    case 'lsn':
      return await reachLsn(way, target.lsn, evidence);
    case 'xid':
    case 'name':
      return reachUnseen(way, evidence.inventory);
    case 'immediate': {
      const segno = segnoBefore(way.backup.stopLsn, evidence.inventory.segmentBytes);
      return reached(onPath(way, segno));
    }
    case 'end':
      return await wayEnd(way, options, evidence);
  }
}

/** Recovery to a time stops at the first transaction that ended later, so there must be one. */
async function reachTime(way: Way, micros: bigint, exclusive: boolean, evidence: WalEvidence): Promise<Verdict> {
  const { inventory, times } = evidence;
  const later = (at: bigint): boolean => (exclusive ? at >= micros : at > micros);
  const stretch = stretchOf(way, evidence);
  const last = await lastMoment(stretch);
  if (last !== undefined && later(last.at)) {
    const stop = (await firstLaterThan(stretch, micros, exclusive)) ?? last;
    return reached(onPath(way, stop.segno), timeRemarks([last, stop]));
  }
  const partial = partialFor(way, inventory);
  if (partial.kind === 'one') {
    const { lastCommit, commits } = await times.partial(partial.partial);
    const known = lastCommit !== undefined || commits === 0;
    const storedAt = microsFromMs(partial.partial.storedAt.getTime());
    if (known ? lastCommit !== undefined && later(lastCommit) : later(storedAt)) {
      return withPartial(way, partial.partial, inventory, known ? [] : [unknownTimes]);
    }
  }
  const before = await endPoint(way, evidence);
  const end = formatIso(before.micros ?? 0n) ?? 'an unknown time';
  const why =
    way.reach.next === undefined
      ? `the last transaction in the stored WAL ended at ${end}, and recovery to a time stops at the first one after it`
      : `${describeHole(way, inventory)}; the last transaction before that ended at ${end}`;
  return missed(why, before);
}

async function reachLsn(way: Way, lsn: Lsn, evidence: WalEvidence): Promise<Verdict> {
  const { inventory, times } = evidence;
  const segno = segnoOfLsn(lsn, inventory.segmentBytes);
  const { last, missing, next } = way.reach;
  if (segno < last.segno) return reached(onPath(way, segno));
  if (segno === last.segno) {
    const { endLsn } = await times.segment(last);
    if (endLsn === undefined || lsn < endLsn) return reached(last);
  }
  const partial = partialFor(way, inventory);
  if (segno === missing.segno && partial.kind === 'one') {
    const { endLsn } = await times.partial(partial.partial);
    if (endLsn === undefined || lsn < endLsn) return withPartial(way, partial.partial, inventory, []);
  }
  const before = await endPoint(way, evidence);
  const why =
    next === undefined
      ? `the stored WAL of timeline ${last.timeline} ends at ${formatLsn(before.lsn ?? way.backup.stopLsn)}`
      : describeHole(way, inventory);
  return missed(why, before);
}

/** Transactions and restore points are not looked for in the WAL: whether they lie where it leads is seen in recovery. */
function reachUnseen(way: Way, inventory: WalInventory): Verdict {
  const { last, next } = way.reach;
  if (next === undefined) return reached(last);
  const text = `${describeHole(way, inventory)}: recovery fails there unless it meets the target before`;
  return reached(last, [{ level: 'warning', text }]);
}

function withPartial(way: Way, partial: StoredPartial, inventory: WalInventory, remarks: readonly Remark[]): Verdict {
  const { missing } = way.reach;
  const text = `the target lies in ${nameOf(missing, inventory)}.partial, which is put into pg_wal under the segment's name`;
  return {
    reached: true,
    walTo: missing,
    partial,
    // The server asks the archive for the segment first, and must be told that it is not there.
    allowGap: missing,
    remarks: [...remarks, { level: 'notice', text }],
  };
}

const unknownTimes: Remark = {
  level: 'warning',
  text: 'the commit times in some segments are not known: this is planned by when they were stored, and recovery may find the target unreachable',
};

function timeRemarks(moments: readonly Moment[]): Remark[] {
  return moments.some(({ by }) => by === 'stored') ? [unknownTimes] : [];
}

function onPath(way: Way, segno: bigint): PathSegment {
  const leg = legOf(way.legs, segno);
  return { timeline: leg?.timeline ?? way.history.timeline, segno };
}

function missed(why: string, before: Point): Verdict {
  return { reached: false, why, hint: undefined, before };
}
