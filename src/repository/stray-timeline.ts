/**
 * A timeline that left only its history: recovery that follows it finds none of its segments and would replay the parent's past the
 * fork, losing one of the two histories.
 */
import { lineage, switchPointOf, type TimelineHistory } from '../postgres/timeline-history.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import { parseWalName, segmentName, segmentNumber, segnoOfLsn, type SegmentFile } from '../postgres/wal-name.ts';
import type { CallOptions } from '../store/store.ts';
import type { Repository } from './repository.ts';
import { firstStoredAfter } from './stored-after.ts';

export interface StrayTimeline {
  /** The one that recovery follows. */
  target: TimelineId;
  /** The name that the segment of the fork has on the parent. */
  fork: string;
}

/**
 * The timelines of which one segment must be stored for this segment to be served: those after its own on the way to the target,
 * if it lies at or behind the fork. `undefined`: it may be served. Pure.
 */
export function timelinesNeeded(
  file: SegmentFile,
  target: TimelineHistory | undefined,
  segmentBytes: number,
): { after: readonly TimelineId[]; fork: string } | undefined {
  if (target === undefined) return undefined;
  const left = switchPointOf(target, file.timeline);
  const segno = segmentNumber(file, segmentBytes);
  if (left === undefined || segno === undefined) return undefined;
  const forkSegno = segnoOfLsn(left, segmentBytes);
  if (segno < forkSegno) return undefined;
  const path = lineage(target);
  const after = path.slice(path.indexOf(file.timeline) + 1);
  return { after, fork: segmentName(file.timeline, forkSegno, segmentBytes) };
}

/**
 * Whether this segment lies in place of the one at which WAL is allowed to end (`allowGap`, a name), on a timeline that recovery had left
 * by then. A server that is told that the segment is absent asks for the older timelines' (XLogFileReadAnyTLI), and would replay what
 * came after the fork there, or stop since that one is missing too. Pure.
 */
export function standsInForGap(
  file: SegmentFile,
  allowGap: string | undefined,
  target: TimelineHistory | undefined,
): boolean {
  const gap = allowGap === undefined ? undefined : parseWalName(allowGap);
  if (gap?.kind !== 'segment' || target === undefined) return false;
  const path = lineage(target);
  const isLeft = path.includes(file.timeline) && path.includes(gap.timeline) && file.timeline < gap.timeline;
  return isLeft && file.log === gap.log && file.seg === gap.seg;
}

/** Whether the target is a stray. One stored segment anywhere proves that it is not; otherwise every repository must answer. */
export async function findStray(
  repositories: readonly Repository[],
  file: SegmentFile,
  target: TimelineHistory | undefined,
  options: CallOptions & { segmentBytes: number },
): Promise<StrayTimeline | undefined> {
  const needed = timelinesNeeded(file, target, options.segmentBytes);
  if (needed === undefined || target === undefined) return undefined;
  const asked = needed.after.flatMap((timeline) => repositories.map((repository) => ({ timeline, repository })));
  const answers = await Promise.allSettled(
    asked.map(({ timeline, repository }) =>
      firstStoredAfter(repository, timeline, undefined, { signal: options.signal, kinds: ['segment'] }),
    ),
  );
  if (answers.some((answer) => answer.status === 'fulfilled' && answer.value !== undefined)) return undefined;
  const failed = answers.find((answer) => answer.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return { target: target.timeline, fork: needed.fork };
}
