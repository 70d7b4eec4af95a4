import { WalholdError } from '../../base/errors.ts';
import { parseBackupLabel } from '../../postgres/backup-label.ts';
import type { Lsn } from '../../postgres/lsn.ts';
import { parseTablespaceMap } from '../../postgres/tablespace-map.ts';
import { timelineId, type TimelineId } from '../../postgres/timeline.ts';
import { segmentName, segnoOfLsn } from '../../postgres/wal-name.ts';
import type { DatabaseRecord } from '../../repository/backup-record.ts';
import type { BackupId } from '../../repository/layout.ts';
import { unarchivedSegments } from '../../server/archive-status.ts';
import { startBackup, stopBackup, type StartedBackup, type StoppedBackup } from '../../server/backup-mode.ts';
import { readDatabases } from '../../server/databases.ts';
import { tablespaceOids, type DataDirectory } from '../../server/walk-data.ts';
import { watchArchiving } from './archive-watch.ts';
import type { BadPages } from './bad-pages.ts';
import type { BackupRun } from './backup-run.ts';
import { copyData, type CopyOptions, type CopyTask } from './copy-data.ts';
import { readControlMember } from './last-part.ts';
import type { Member } from './write-members.ts';

export interface LiveOptions extends Omit<CopyOptions, 'tablespaces'> {
  label: string;
  /** A checkpoint at once, instead of over time. */
  fast: boolean;
  allowBadPages: boolean;
}

/** What lies between the start and the stop of a backup. */
export interface LiveCopy {
  started: StartedBackup;
  stopped: StoppedBackup;
  timeline: TimelineId;
  control: Member;
  tablespaces: DataDirectory['tablespaces'];
  databases: readonly DatabaseRecord[];
  badPages: BadPages;
}

/** A backup that the server has begun. */
export interface LiveStart {
  started: StartedBackup;
  /** Segments that were not archived before. */
  unarchived: ReadonlySet<string>;
  /** OIDs of those that there were. */
  tablespaces: ReadonlySet<string>;
}

/** Starts a backup in the source's session. */
export async function startLive({ context, source, progress }: BackupRun, options: LiveOptions): Promise<LiveStart> {
  const { session, facts, dataDirectory } = source;
  const unarchived = facts.inRecovery ? new Set<string>() : unarchivedSegments(dataDirectory);
  context.log.info(`waiting for a checkpoint${options.fast ? '' : ' (--checkpoint=fast makes it at once)'}`);
  progress.phase('waiting for a checkpoint');
  const started = await startBackup(session, { major: facts.major, label: options.label, fast: options.fast });
  return { started, unarchived, tablespaces: new Set(tablespaceOids(dataDirectory)) };
}

/**
 * Copies everything, reads `pg_control`, stops the backup. A server that goes away, follows another timeline or turns out not to
 * archive ends it with an error; the server itself then drops the backup with the session.
 */
export async function copyLive(
  run: BackupRun,
  id: BackupId,
  { started, unarchived, ...options }: LiveOptions & LiveStart & CopyTask,
): Promise<LiveCopy> {
  const { context, source } = run;
  const { session, facts, dataDirectory } = source;
  const failed = new AbortController();
  const over = new AbortController();
  const signal = AbortSignal.any([run.signal, session.lost, failed.signal]);
  const live: BackupRun = { ...run, signal };
  const watch = watchBefore(live, started.startLsn, unarchived, over.signal).catch((error: unknown) =>
    failed.abort(error),
  );
  try {
    const { tablespaces: walked, badPages } = await copyData(live, id, options);
    badPages.judge(options.allowBadPages, context.log);
    const control = await readControlMember(dataDirectory, context.clock, signal);
    const databases = await readDatabases(session);
    const stopped = await stopBackup(session, facts.major);
    signal.throwIfAborted();
    const tablespaces = withDropped(walked, stopped, facts.major);
    return { started, stopped, timeline: timelineOf(started, stopped), control, tablespaces, databases, badPages };
  } finally {
    over.abort();
    await watch;
  }
}

/**
 * Those of the server's map that were dropped before their files were listed, too: the server makes their links when it recovers, and drops
 * them again.
 */
function withDropped(
  walked: DataDirectory['tablespaces'],
  { tablespaceMap = Buffer.alloc(0) }: StoppedBackup,
  major: number,
): DataDirectory['tablespaces'] {
  const mapped = parseTablespaceMap(tablespaceMap.toString('utf8'), major);
  const listed = new Set(walked.map(({ oid }) => oid));
  return [...walked, ...mapped.filter(({ oid }) => !listed.has(oid))];
}

/** The segment before the start, which the start has just ended, tells whether this server archives into the repositories. */
async function watchBefore(
  run: BackupRun,
  startLsn: Lsn,
  unarchived: ReadonlySet<string>,
  over: AbortSignal,
): Promise<void> {
  const { facts, control, dataDirectory } = run.source;
  const segno = segnoOfLsn(startLsn, control.segmentBytes) - 1n;
  if (segno < 0n) return;
  const name = segmentName(timelineId(facts.checkpoint.timeline), segno, control.segmentBytes);
  // Archived before, it tells of other settings, perhaps.
  if (!unarchived.has(name)) return;
  const signal = AbortSignal.any([run.signal, over]);
  const { repositories, context } = run;
  try {
    await watchArchiving(name, { ...context, repositories, dataDirectory, signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** The one timeline of the backup. Throws `server` when a standby has followed a failover meanwhile. */
function timelineOf(started: StartedBackup, stopped: StoppedBackup): TimelineId {
  const label = parseBackupLabel(stopped.label.toString('utf8'));
  if (label.startLsn !== started.startLsn) {
    throw new WalholdError('server', 'the server stopped another backup than the one that was started');
  }
  const { recoveryTimeline } = stopped;
  if (recoveryTimeline === undefined || recoveryTimeline === 0 || recoveryTimeline === label.startTimeline) {
    return label.startTimeline;
  }
  throw new WalholdError('server', 'the standby has moved to another timeline during the backup', {
    detail: `it began on timeline ${label.startTimeline} and ended on ${recoveryTimeline}`,
    hint: 'Take the backup again.',
  });
}
