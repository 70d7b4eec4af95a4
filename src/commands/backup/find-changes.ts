/** Once a backup has begun: what has changed since its parent did. */
import { BlockChanges } from '../../postgres/block-changes.ts';
import { formatLsn, type Lsn } from '../../postgres/lsn.ts';
import { firstUncovered, stretchesBetween, summariesFor, type WalStretch } from '../../postgres/summary-cover.ts';
import { timelineId } from '../../postgres/timeline.ts';
import type { AttemptNote, NotedIncrement } from '../../repository/attempt-note.ts';
import {
  whyNoParent,
  whyNotBySummaries,
  type ChangeSource,
  type ParentRecord,
} from '../../repository/incremental-parent.ts';
import { readCheckpoint } from '../../server/server-facts.ts';
import { listSummaries, readSummary, summarizerPosition } from '../../server/wal-summaries.ts';
import type { BackupRun } from './backup-run.ts';
import { isRefusal, type Refusal } from './backup-type.ts';
import { clusterNow, findParent, type IncrementalBasis } from './incremental-basis.ts';

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

/**
 * What an earlier attempt of the same backup had found: it depends on the parent and on where that attempt started alone, not on
 * what has happened since. It had waited for its summaries, and for pages it had seen that they show every change up to its start;
 * whatever was changed later is in the WAL that is replayed.
 */
export async function findChangesAgain(
  run: BackupRun,
  { startLsn, timeline }: Pick<AttemptNote, 'startLsn' | 'timeline'>,
  { parent: id, changes: source }: NotedIncrement,
): Promise<Increment | Refusal> {
  const now = { ...(await clusterNow(run, timeline)), startLsn };
  const found = await findParent(run, id, now);
  if (isRefusal(found)) return found;
  if (source === 'page-lsn') return { ...found, source, changes: undefined };
  const { parent } = found;
  const never = whyNotBySummaries(parent, { server: now.server, summarizeWal: true });
  if (never !== undefined) return { why: never };
  const needed = stretchesBetween({ timeline: parent.timeline, start: parent.startLsn }, startLsn, now.history);
  const { session, control } = run.source;
  const gap = firstUncovered(needed, await listSummaries(session), control.walBlockBytes);
  if (gap !== undefined) return { why: noSummary(gap) };
  return { ...found, source, changes: await readChanges(run, needed) };
}

/** The summarizer wakes up by itself when there is WAL to read; it is given up when it has not moved for so long. */
const STUCK_MS = 60_000;
const BETWEEN_LOOKS_MS = 100;

/** Waits until all that is needed is summarized; the answer is why it is not. */
async function awaitSummaries(run: BackupRun, needed: readonly WalStretch[]): Promise<string | undefined> {
  const { clock } = run.context;
  const { session, control } = run.source;
  let moved = { position: await summarizerPosition(session), at: clock.now() };
  for (;;) {
    const summaries = await listSummaries(session);
    const gap = firstUncovered(needed, summaries, control.walBlockBytes);
    if (gap === undefined) return undefined;
    const why = noSummary(gap);
    // The summarizer never goes back.
    if (summaries.some(({ start }) => start > gap.position)) return why;
    const position = await summarizerPosition(session);
    if (position !== moved.position) moved = { position, at: clock.now() };
    if (clock.now() - moved.at >= STUCK_MS) return `${why}, and the summarizer has not moved for a minute`;
    await clock.sleep(BETWEEN_LOOKS_MS, run.signal);
  }
}

function noSummary({ timeline, position }: { timeline: number; position: Lsn }): string {
  return `there is no WAL summary from ${formatLsn(position)} of timeline ${timeline} on`;
}

async function readChanges({ source }: BackupRun, needed: readonly WalStretch[]): Promise<BlockChanges> {
  const changes = new BlockChanges(source.control.blocksPerFile);
  for (const summary of summariesFor(needed, await listSummaries(source.session))) {
    await readSummary(source.session, summary, changes);
  }
  return changes;
}
