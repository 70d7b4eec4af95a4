import { segnoOfLsn } from '../../postgres/wal-name.ts';
import type { BackupPoint, Gap } from '../coverage.ts';
import { missingIn, unionOf } from '../segment-runs.ts';
import type { ExpiredRange } from './expired-record.ts';

/**
 * What of the gaps is a loss: less what `expire` has given up, as WAL between a backup that is kept for long and the next one is. Only
 * where a backup begins behind it: whoever forges such a range hides no more than the way to that backup. Pure.
 */
export function withoutExpired(
  gaps: readonly Gap[],
  expired: readonly ExpiredRange[],
  { backups, segmentBytes }: { backups: readonly BackupPoint[]; segmentBytes: number },
): Gap[] {
  const byTimeline = Map.groupBy(expired, ({ timeline }) => timeline);
  const starts = backups.map(({ startLsn }) => segnoOfLsn(startLsn, segmentBytes));
  return gaps.flatMap((gap) => {
    const given = byTimeline.get(gap.timeline);
    if (given === undefined || !starts.some((start) => start > gap.last)) return [gap];
    return missingIn(unionOf([given]), gap.first, gap.last).map((run) => ({ timeline: gap.timeline, ...run }));
  });
}
