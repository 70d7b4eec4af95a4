import type { TimelineHistory } from '../postgres/timeline-history.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import { readLocalHistories } from '../server/local-histories.ts';
import { readTargetTimeline } from '../server/recovery-settings.ts';

/** Which timeline a recovery follows, as far as its data directory tells. */
export interface RecoveryTarget {
  latest: boolean;
  /** The history files in `pg_wal`, by rising timeline. */
  histories: readonly TimelineHistory[];
  /** The history of the timeline that recovery follows, if that descends from the one given or comes after it. */
  historyAfter: (timeline: TimelineId) => TimelineHistory | undefined;
}

export async function readRecoveryTarget(dataDirectory: string): Promise<RecoveryTarget> {
  const [targetTimeline, histories] = await Promise.all([
    readTargetTimeline(dataDirectory),
    readLocalHistories(dataDirectory),
  ]);
  const newest = targetTimeline === 'latest' ? histories.at(-1)?.timeline : targetTimeline;
  return {
    latest: targetTimeline === 'latest',
    histories,
    historyAfter: (than) => histories.find(({ timeline }) => timeline === newest && timeline > than),
  };
}
