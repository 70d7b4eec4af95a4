/** Once a backup has begun: what has changed since its parent did. */
import { BlockChanges } from '../../postgres/block-changes.ts';
import { formatLsn, type Lsn } from '../../postgres/lsn.ts';
import { firstUncovered, stretchesBetween, summariesFor, type WalStretch } from '../../postgres/summary-cover.ts';
import { timelineId } from '../../postgres/timeline.ts';
import { whyNoParent, type ChangeSource, type ParentRecord } from '../../repository/incremental-parent.ts';
import { readCheckpoint } from '../../server/server-facts.ts';
import { listSummaries, readSummary, summarizerPosition } from '../../server/wal-summaries.ts';
import type { BackupRun } from './backup-run.ts';
import type { Refusal } from './backup-type.ts';
import { clusterNow, type IncrementalBasis } from './incremental-basis.ts';

/** What a backup needs to be an incremental one. */
export interface Increment {
  parent: ParentRecord;
  files: ReadonlySet<string>;
  source: ChangeSource;
  /** By WAL summaries; `undefined`: by page LSNs, which the copying threads look at. */
  changes: BlockChanges | undefined;
}

/** Waits for WAL summaries up to `startLsn`, where they are to tell. If they do not, pages do; if they cannot, the answer is why. */
export async function findChanges(
  run: BackupRun,
  { parent, files, notBySummaries, notByPages }: IncrementalBasis,
  startLsn: Lsn,
): Promise<Increment | Refusal> {
  const checkpoint = await readCheckpoint(run.source.session);
  const now = { ...(await clusterNow(run, timelineId(checkpoint.timeline))), startLsn };
  const changed = whyNoParent(parent, now);
  if (changed !== undefined) return { why: changed };
  const needed = stretchesBetween({ timeline: parent.timeline, start: parent.startLsn }, startLsn, now.history);
  const why = notBySummaries ?? (await awaitSummaries(run, needed));
  if (why === undefined) {
    return { parent, files, source: 'wal-summaries', changes: await readChanges(run, needed) };
  }
  if (notByPages === undefined) return { parent, files, source: 'page-lsn', changes: undefined };
  return { why: `${why}; ${notByPages}` };
}

/** The summarizer wakes up by itself when there is WAL to read; it is given up when it has not moved for so long. */
const STUCK_MS = 60_000;
const BETWEEN_LOOKS_MS = 100;

/** Waits until all that is needed is summarized; the answer is why it is not. */
async function awaitSummaries(run: BackupRun, needed: readonly WalStretch[]): Promise<string | undefined> {
  const { clock } = run.context;
  const { session } = run.source;
  let moved = { position: await summarizerPosition(session), at: clock.now() };
  for (;;) {
    const summaries = await listSummaries(session);
    const gap = firstUncovered(needed, summaries);
    if (gap === undefined) return undefined;
    const why = `there is no WAL summary from ${formatLsn(gap.position)} of timeline ${gap.timeline} on`;
    // The summarizer never goes back.
    if (summaries.some(({ start }) => start > gap.position)) return why;
    const position = await summarizerPosition(session);
    if (position !== moved.position) moved = { position, at: clock.now() };
    if (clock.now() - moved.at >= STUCK_MS) return `${why}, and the summarizer has not moved for a minute`;
    await clock.sleep(BETWEEN_LOOKS_MS, run.signal);
  }
}

async function readChanges({ source }: BackupRun, needed: readonly WalStretch[]): Promise<BlockChanges> {
  const changes = new BlockChanges(source.control.blocksPerFile);
  for (const summary of summariesFor(needed, await listSummaries(source.session))) {
    await readSummary(source.session, summary, changes);
  }
  return changes;
}
