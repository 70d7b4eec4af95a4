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
import { isRefusal } from '../backup-type.ts';
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
  /** `undefined`: this attempt is the first. */
  resumed: { start: FirstStart; from: Resumable; restUnproven: boolean } | undefined;
}

/** A new backup, on `parent` an incremental one. */
export async function firstAttempt(
  run: BackupRun,
  started: StartedBackup,
  parent: BackupId | undefined,
): Promise<Attempt> {
  const copied = new CopiedParts();
  const { id, ...claim } = await claimId(run, parent);
  copied.add(claim);
  run.context.log.info(parent === undefined ? `taking backup ${id}` : `taking backup ${id}, incremental on ${parent}`);
  await noteAttempt(run, id, 1, started);
  return { id, copied, config: await storeConfig(run, id), started, resumed: undefined };
}

/** Now that the server has begun: goes on with the backup, or says why not (`undefined`). Throws `conflict` when somebody else does. */
export async function nextAttempt(
  run: BackupRun,
  from: Resumable,
  { startLsn }: StartedBackup,
  { walTimeoutMs }: { walTimeoutMs: number },
): Promise<Attempt | undefined> {
  const { id, first, config } = from;
  const judged =
    startLsn < first.startLsn
      ? { why: `it began at ${formatLsn(first.startLsn)}, where the server's WAL has not come yet` }
      : await judgeWal(run, { first, startLsn, walTimeoutMs });
  if (isRefusal(judged)) return sayWhyNot(run, id, judged.why);
  await noteAttempt(run, id, from.attempt, { startLsn, startedAt: first.startedAt });
  const copied = new CopiedParts();
  for (const part of from.parts) copied.addStored(part);
  run.counters.skipParts(Math.max(...from.parts.map(({ number }) => number)));
  const { segmentBytes } = run.source.control;
  const startSegment = segmentName(first.timeline, segnoOfLsn(first.startLsn, segmentBytes), segmentBytes);
  const start = { startLsn: first.startLsn, startSegment, checkpointLsn: first.checkpointLsn };
  return { id, copied, config, started: first, resumed: { start, from, ...judged } };
}

async function noteAttempt(run: BackupRun, id: BackupId, attempt: number, started: StartedBackup): Promise<void> {
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
  };
  await createInAll(run, attemptKey(id, attempt), formatAttemptNote(note));
}
