import { hasCode } from '../../base/errors.ts';
import type { Lsn } from '../../postgres/lsn.ts';
import { replayedTimes } from '../../postgres/replayed-times.ts';
import { parseWalName, segmentName, segmentStart, segnoBefore } from '../../postgres/wal-name.ts';
import { legOf, type PathSegment } from '../../repository/recovery-path.ts';
import { firstThatWorks } from '../../repository/repository.ts';
import type { RestorePlan } from '../../repository/restore-plan.ts';
import { storedSegmentTimes } from '../../repository/segment-times.ts';
import { fetchFrom } from '../../repository/wal-archive.ts';
import { walOf } from '../../repository/wal-inventory.ts';
import type { RestorableBackup } from '../restore/plan-report.ts';
import type { ReadPlan } from '../restore/read-plan.ts';

export interface Replayed {
  /** Where replay ended. */
  end: Lsn;
  /** When the last transaction ended that the server has replayed; `undefined`: it replayed none. */
  lastEnd: bigint | undefined;
}

/** A server that rests under `archive_timeout` leaves long rows of segments in which nothing ends. */
const LONGEST_WALK = 256n;
/** Segments read whole. */
const MOST_READ = 8;

/**
 * When the last transaction committed that was replayed; `undefined`: none in the WAL did. All in microseconds since 1970. What the server
 * remembers can be the time of an abort: then the stored WAL tells, as far as it can be read.
 */
export async function lastCommitOf(
  { end, lastEnd }: Replayed,
  { legs, walFrom }: Pick<RestorePlan<RestorableBackup>, 'legs' | 'walFrom'>,
  found: ReadPlan,
  signal: AbortSignal,
): Promise<bigint | undefined> {
  if (lastEnd === undefined) return undefined;
  const { overview, inventory } = found;
  const heads = storedSegmentTimes(overview.repositories, inventory, { signal, systemId: overview.systemId });
  const newest = segnoBefore(end, inventory.segmentBytes);
  let isAbort = false;
  let read = 0;
  for (let segno = newest; segno >= walFrom.segno; segno -= 1n) {
    const timeline = legOf(legs, segno)?.timeline;
    if (timeline === undefined || newest - segno >= LONGEST_WALK) return lastEnd;
    const { commits, lastCommit: latest } = await heads.segment({ timeline, segno });
    // Of a segment that says so nothing more need be read.
    if (commits === 0 && (isAbort || latest === undefined)) continue;
    const bytes = read < MOST_READ ? await readSegment({ timeline, segno }, found, signal) : undefined;
    if (bytes === undefined) return lastEnd;
    read += 1;
    const { last, lastCommit } = replayedTimes(bytes, segmentStart(segno, inventory.segmentBytes), end);
    // Not the one that the server means: that one goes on in the next segment, and is not among these.
    if (!isAbort && last !== undefined && last.unixMicros !== lastEnd) return lastEnd;
    if (lastCommit !== undefined) return lastCommit.unixMicros;
    isAbort ||= last !== undefined;
  }
  return isAbort ? undefined : lastEnd;
}

/** From the first repository that gives it; `undefined`: none does. */
async function readSegment(
  { timeline, segno }: PathSegment,
  { overview, inventory }: ReadPlan,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  const { systemId } = overview;
  const { segmentBytes } = inventory;
  const file = parseWalName(segmentName(timeline, segno, segmentBytes));
  const holders = walOf(inventory, timeline).segments.get(segno)?.repositories ?? [];
  if (file === undefined || file.kind === 'partial') return undefined;
  const asked = overview.repositories.filter(({ number }) => holders.includes(number));
  try {
    const options = { signal, systemId, segmentBytes };
    return (await firstThatWorks(asked, (repository) => fetchFrom(repository, file, options))).value;
  } catch (error) {
    signal.throwIfAborted();
    if (hasCode(error, 'damaged', 'unreachable', 'denied', 'store-gone', 'store-rejected')) return undefined;
    throw error;
  }
}
