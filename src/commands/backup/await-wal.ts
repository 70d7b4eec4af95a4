import { WalholdError } from '../../base/errors.ts';
import { historyName } from '../../postgres/wal-name.ts';
import { segmentsBetween } from '../../repository/required-wal.ts';
import { waitForSegments } from './archive-watch.ts';
import type { BackupRun } from './backup-run.ts';
import type { LiveCopy } from './copy-live.ts';
import { requireLockedWal } from './require-locked-wal.ts';
import type { Attempt } from './resume/attempt.ts';
import { requireProtectedStart } from './resume/replayable-wal.ts';
import { storeHistory } from './store-history.ts';
import { switchOnPrimary } from './switch-on-primary.ts';

export interface WalOptions {
  /** `--primary`, of a standby; `undefined`: its `primary_conninfo`. */
  primary: string | undefined;
  /** How long the last WAL may take to arrive. */
  walTimeoutMs: number;
}

/**
 * Waits until every repository holds the WAL that the backup needs, locked where it must be. Nothing that ends the backup is stored
 * yet: if this fails, a later attempt has only to copy what is new.
 */
export async function awaitWal(
  run: BackupRun,
  { attempt, live, options }: { attempt: Attempt; live: LiveCopy; options: WalOptions },
): Promise<{ first: string; last: string }> {
  const { context, source, repositories, signal } = run;
  const { timeline, stopped } = live;
  if (source.facts.inRecovery) await switchOnPrimary(run, options.primary);
  const { segmentBytes } = source.control;
  const segments = segmentsBetween(timeline, attempt.started.startLsn, stopped.stopLsn, segmentBytes);
  context.log.info(`waiting for WAL up to ${segments.at(-1) ?? ''}`);
  const dataDirectory = source.facts.inRecovery ? undefined : source.dataDirectory;
  run.progress.phase('waiting for WAL');
  await waitForSegments(segments, options.walTimeoutMs, { ...context, ...run, dataDirectory });
  if (attempt.resumed !== undefined) {
    const { first } = attempt.resumed.from;
    if (timeline !== first.timeline) {
      throw new WalholdError('server', `the server has moved from timeline ${first.timeline} to ${timeline}`, {
        hint: 'Take a new backup, without --resume.',
      });
    }
    const wal = { ...options, first, startLsn: live.started.startLsn };
    if (attempt.resumed.restUnproven) await requireProtectedStart(run, wal);
  }
  await storeHistory(run, timeline);
  const { jobs } = context.config;
  await requireLockedWal(repositories, [...segments, historyName(timeline)], { signal, jobs });
  return { first: segments[0] ?? '', last: segments.at(-1) ?? '' };
}
