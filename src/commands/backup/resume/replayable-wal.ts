/**
 * Whether the WAL since an interrupted backup began mends what its attempts copied. Pages may be torn in their files: the first record
 * of each after the start must hold the whole page. While a backup runs the server sees to that itself; between the attempts only
 * `full_page_writes` does.
 */
import { hasCode, WalholdError } from '../../../base/errors.ts';
import { forEachParallel } from '../../../base/parallel.ts';
import type { Lsn } from '../../../postgres/lsn.ts';
import { parseIso } from '../../../postgres/timestamp.ts';
import { parseWalName, segmentNumber, segmentStart } from '../../../postgres/wal-name.ts';
import { whyNotProtected } from '../../../postgres/wal-protection.ts';
import { walkRecords } from '../../../postgres/wal-records.ts';
import type { AttemptNote } from '../../../repository/attempt-note.ts';
import { firstThatWorks } from '../../../repository/repository.ts';
import { missingSegments, segmentsBetween } from '../../../repository/required-wal.ts';
import { fetchFrom } from '../../../repository/wal-archive.ts';
import { isArchived } from '../../../server/archive-status.ts';
import { readConfiguration, type ConfigurationFacts } from '../../../server/server-facts.ts';
import { waitForSegments } from '../archive-watch.ts';
import type { BackupRun } from '../backup-run.ts';
import type { Refusal } from '../backup-type.ts';

export interface WalToReplay {
  first: AttemptNote;
  /** Where the attempt at hand has begun. */
  startLsn: Lsn;
  walTimeoutMs: number;
}

/**
 * Why not, ready to follow a colon; else whether what was written in this attempt's own segment before it began is still to be looked
 * at. Ask when the server has begun: from then on it sees to it.
 */
export async function judgeWal(run: BackupRun, wal: WalToReplay): Promise<Refusal | { restUnproven: boolean }> {
  const before = segmentsOf(run, wal).slice(0, -1);
  const lost = await lostSegment(run, before);
  if (lost !== undefined) return { why: lost };
  const configuration = await readConfiguration(run.source.session);
  if (!configuration.fullPageWrites) return { why: 'full_page_writes is off' };
  if (!mayHaveChanged(run, wal.first, configuration)) return { restUnproven: false };
  try {
    await waitForSegments(before, wal.walTimeoutMs, watchOf(run));
    await requireProtected(run, before, wal);
    return { restUnproven: true };
  } catch (error) {
    // What the session says is of its own loss.
    if (!hasCode(error, 'deadline', 'server', 'refused') || run.source.session.lost.aborted) throw error;
    return { why: error.detail ?? error.message };
  }
}

/** The rest of the proof, when the segment that this attempt began in is stored. Throws `refused`. */
export async function requireProtectedStart(run: BackupRun, wal: WalToReplay): Promise<void> {
  await requireProtected(run, segmentsOf(run, wal).slice(-1), wal);
}

function segmentsOf({ source }: BackupRun, { first, startLsn }: WalToReplay): string[] {
  // The segment of this position itself is among them.
  return segmentsBetween(first.timeline, first.startLsn, (startLsn + 1n) as Lsn, source.control.segmentBytes);
}

/** The setting changes by a reload or a restart only; what a standby's primary was told is not known here. */
function mayHaveChanged({ source }: BackupRun, { startedAt }: AttemptNote, { readAt }: ConfigurationFacts): boolean {
  const { facts } = source;
  const began = parseIso(startedAt) ?? 0n;
  const since = (time: string): boolean => (parseIso(time) ?? began) >= began;
  return facts.inRecovery || since(facts.startedAt) || since(readAt);
}

async function lostSegment(run: BackupRun, names: readonly string[]): Promise<string | undefined> {
  const { source, repositories, signal } = run;
  if (source.facts.inRecovery) return undefined;
  for (const { store, url } of repositories) {
    // Asked before the repository: what is archived by now must be there then.
    const archived = new Set(names.filter((name) => isArchived(source.dataDirectory, name)));
    const lost = (await missingSegments(store, names, { signal })).find((name) => archived.has(name));
    if (lost !== undefined) return `its WAL is not whole: ${url} lacks ${lost}`;
  }
  return undefined;
}

function watchOf({ context, repositories, source, signal }: BackupRun): Parameters<typeof waitForSegments>[2] {
  const dataDirectory = source.facts.inRecovery ? undefined : source.dataDirectory;
  return { ...context, repositories, dataDirectory, signal };
}

async function requireProtected(
  run: BackupRun,
  names: readonly string[],
  { first, startLsn }: WalToReplay,
): Promise<void> {
  const { systemId, segmentBytes } = run.source.control;
  await forEachParallel(names, run.context.config.jobs, async (name) => {
    const file = parseWalName(name);
    const segno = file?.kind === 'segment' ? segmentNumber(file, segmentBytes) : undefined;
    if (file?.kind !== 'segment' || segno === undefined) throw new RangeError(`${name} is no segment`);
    const options = { signal: run.signal, systemId, segmentBytes };
    const { value: bytes } = await firstThatWorks(run.repositories, (one) => fetchFrom(one, file, options));
    if (bytes === undefined) throw unproven(name, 'it is not stored any more');
    walkRecords(bytes, segmentStart(segno, segmentBytes), {
      onRecord(record) {
        if (record.lsn < first.startLsn || record.lsn >= startLsn) return;
        const why = whyNotProtected(record);
        if (why !== undefined) throw unproven(name, why);
      },
    });
  });
}

function unproven(name: string, why: string): WalholdError {
  return new WalholdError('refused', 'the WAL since the backup began does not mend torn pages', {
    detail: `${why} in ${name}`,
    hint: 'Take a new backup, without --resume.',
  });
}
