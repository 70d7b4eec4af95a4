/** One attempt to take a backup: what it is called, what it notes of itself, and what it finds stored already. */
import { formatLsn, parseLsn } from '../../../postgres/lsn.ts';
import { timelineId } from '../../../postgres/timeline.ts';
import { segmentName, segnoOfLsn } from '../../../postgres/wal-name.ts';
import type { FirstStart } from '../../../postgres/resumed-backup.ts';
import { formatAttemptNote } from '../../../repository/attempt-note.ts';
import type { ConfigRecord } from '../../../repository/backup-record.ts';
import { attemptKey, type BackupId } from '../../../repository/layout.ts';
import type { StartedBackup } from '../../../server/backup-mode.ts';
import { tablespaceOids } from '../../../server/walk-data.ts';
import { readCheckpoint } from '../../../server/server-facts.ts';
import { ownIdentity } from '../../../server/session-identity.ts';
import { hostOf, type BackupRun } from '../backup-run.ts';
import { isRefusal, type Refusal } from '../backup-type.ts';
import type { Increment } from '../find-changes.ts';
import { claimId } from '../claim-id.ts';
import { createInAll } from '../create-in-all.ts';
import { CopiedParts } from '../record-of.ts';
import { storeConfig } from '../store-config.ts';
import { sayWhyNot, type Resumable } from './find-resumable.ts';
import { judgeWal } from './replayable-wal.ts';

export interface Attempt {
  id: BackupId;
  copied: CopiedParts;
  config: ConfigRecord | undefined;
  /** Where the whole backup starts. */
  started: StartedBackup;
  /** `undefined`: it is a full backup. */
  increment: Increment | undefined;
  /** `undefined`: this attempt is the first. */
  resumed: { start: FirstStart; from: Resumable; restUnproven: boolean } | undefined;
}

/** A new backup. */
export async function firstAttempt(
  run: BackupRun,
  started: StartedBackup,
  increment: Increment | undefined,
): Promise<Attempt> {
  const copied = new CopiedParts();
  const parent = increment?.parent.id;
  const { id, ...claim } = await claimId(run, parent);
  copied.add(claim);
  run.context.log.info(parent === undefined ? `taking backup ${id}` : `taking backup ${id}, incremental on ${parent}`);
  await noteAttempt(run, { id, attempt: 1, started, increment });
  return { id, copied, config: await storeConfig(run, id), started, increment, resumed: undefined };
}

/** Now that the server has begun: goes on with the backup, or says why not (`undefined`). Throws `conflict` when somebody else does. */
export async function nextAttempt(
  run: BackupRun,
  from: Resumable,
  { startLsn }: StartedBackup,
  { walTimeoutMs }: { walTimeoutMs: number },
): Promise<Attempt | undefined> {
  const { id, first, config, increment } = from;
  const judged = (await judgeStart(run, first, startLsn)) ?? (await judgeWal(run, { first, startLsn, walTimeoutMs }));
  if (isRefusal(judged)) return sayWhyNot(run, id, judged.why);
  const started = { startLsn, startedAt: first.startedAt };
  await noteAttempt(run, { id, attempt: from.attempt, started, increment });
  const copied = new CopiedParts();
  for (const part of from.parts) copied.addStored(part);
  run.counters.skipParts(Math.max(...from.parts.map(({ number }) => number)));
  const { segmentBytes } = run.source.control;
  const startSegment = segmentName(first.timeline, segnoOfLsn(first.startLsn, segmentBytes), segmentBytes);
  const start = { startLsn: first.startLsn, startSegment, checkpointLsn: first.checkpointLsn };
  return { id, copied, config, started: first, increment, resumed: { start, from, ...judged } };
}

/** A standby may have followed another timeline since it was asked. */
async function judgeStart(
  { source }: BackupRun,
  first: Resumable['first'],
  startLsn: StartedBackup['startLsn'],
): Promise<Refusal | undefined> {
  const { timeline } = await readCheckpoint(source.session);
  if (timeline !== first.timeline) {
    return { why: `it is on timeline ${first.timeline}, the server on ${timeline}` };
  }
  if (startLsn >= first.startLsn) return undefined;
  return { why: `it began at ${formatLsn(first.startLsn)}, where the server's WAL has not come yet` };
}

interface Begun extends Pick<Attempt, 'id' | 'started' | 'increment'> {
  attempt: number;
}

async function noteAttempt(run: BackupRun, { id, attempt, started, increment }: Begun): Promise<void> {
  const { context, source } = run;
  const { session, facts, control, dataDirectory } = source;
  const checkpoint = await readCheckpoint(session);
  const checkpointLsn = parseLsn(checkpoint.lsn);
  // Another checkpoint was faster, and the one that the label will name is not known. Then this attempt will be the last.
  const isKnown = checkpoint.redoLsn === formatLsn(started.startLsn);
  if (checkpointLsn === undefined || (attempt === 1 && !isKnown)) return;
  const note = {
    systemId: control.systemId,
    backup: id,
    attempt,
    at: new Date(context.clock.now()).toISOString(),
    by: context.by,
    dataDirectory,
    host: hostOf(context.by),
    ...started,
    checkpointLsn,
    timeline: timelineId(checkpoint.timeline),
    catalogVersion: control.catalogVersion,
    dataChecksums: control.dataChecksumVersion !== 0,
    inRecovery: facts.inRecovery,
    tablespaces: tablespaceOids(dataDirectory),
    session: await ownIdentity(session),
    increment: increment === undefined ? undefined : { parent: increment.parent.id, changes: increment.source },
  };
  await createInAll(run, attemptKey(id, attempt), formatAttemptNote(note));
}
