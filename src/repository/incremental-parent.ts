/**
 * Whether a backup can build on an older one, and by what it can tell the blocks that have changed since. Every question here is
 * answered by the reason why not, ready to follow "because"; `undefined`: nothing speaks against it.
 */
import { formatLsn, type Lsn } from '../postgres/lsn.ts';
import { lineage, switchPointOf, type TimelineHistory } from '../postgres/timeline-history.ts';
import { parseIso } from '../postgres/timestamp.ts';
import type { BackupRecord, ServerRecord } from './backup-record.ts';
import type { BackupId } from './layout.ts';

/** How the blocks were found that an incremental backup holds; in its record's `settings` as `changes`. */
export type ChangeSource = 'wal-summaries' | 'page-lsn';
export const CHANGE_SOURCE_SETTING = 'changes';

export type ParentRecord = Pick<
  BackupRecord,
  'id' | 'type' | 'startedAt' | 'startLsn' | 'stopLsn' | 'timeline' | 'server' | 'settings'
>;

/** What decides of the server that is backed up. */
export interface ClusterNow {
  server: ServerRecord;
  /** Of the timeline that it is on. */
  history: TimelineHistory;
  /** Where the new backup starts; `undefined`: it has not begun. */
  startLsn: Lsn | undefined;
  /** What the new backup would be named, had it begun now. */
  id: BackupId;
}

/** Why the parent's files cannot be what this server's files are told by. */
export function whyNoParent(parent: ParentRecord, now: ClusterNow): string | undefined {
  return wrongServer(parent, now.server) ?? wrongHistory(parent, now);
}

function wrongServer({ id, server: old }: ParentRecord, server: ServerRecord): string | undefined {
  if (old.systemId !== server.systemId) return `backup ${id} is of cluster ${old.systemId}`;
  if (old.major !== server.major || old.catalogVersion !== server.catalogVersion) {
    return `backup ${id} is of PostgreSQL ${old.version}, and the server is ${server.version}`;
  }
  const sizes = ['blockBytes', 'blocksPerFile', 'segmentBytes'] as const;
  if (sizes.some((name) => old[name] !== server[name])) return `backup ${id} is of files with blocks of other sizes`;
  if (old.dataChecksums === server.dataChecksums) return undefined;
  return `data checksums were turned ${server.dataChecksums ? 'on' : 'off'} after backup ${id}`;
}

/** Every byte of WAL that can be in the parent's files must be of this server's past. */
function wrongHistory(parent: ParentRecord, { history, startLsn, id }: ClusterNow): string | undefined {
  const { timeline, stopLsn } = parent;
  if (!lineage(history).includes(timeline)) {
    return `backup ${parent.id} is of timeline ${timeline}, which timeline ${history.timeline} does not descend from`;
  }
  const fork = switchPointOf(history, timeline);
  if (fork !== undefined && stopLsn > fork) {
    return `timeline ${history.timeline} left timeline ${timeline} at ${formatLsn(fork)}, before backup ${parent.id} ended at ${formatLsn(stopLsn)}`;
  }
  if (startLsn !== undefined && startLsn < stopLsn) {
    return `this backup starts at ${formatLsn(startLsn)}, before backup ${parent.id} ended at ${formatLsn(stopLsn)}`;
  }
  return parent.id < id ? undefined : `by the clock of this host backup ${parent.id} is yet to come`;
}

/** What else decides whether pages tell. */
export interface PageFacts {
  server: ServerRecord;
  /** The server's own `wal_log_hints`; a standby's can differ from its primary's, which is what pg_control holds. */
  walLogHints: boolean;
  /** When the postmaster started, ISO 8601. */
  serverStartedAt: string;
}

/**
 * Why the LSNs in the pages do not tell what has changed. Without data checksums or wal_log_hints, VACUUM marks a page all-visible
 * and leaves its LSN (log_heap_visible, access/heap); both can be turned off and on again only while the server is stopped, and that
 * leaves no trace (pg_checksums writes no WAL).
 */
export function whyNotByPages(
  parent: ParentRecord,
  { server, walLogHints, serverStartedAt }: PageFacts,
): string | undefined {
  const off = 'neither data_checksums nor wal_log_hints';
  if (!server.dataChecksums && !(server.walLogHints && walLogHints)) {
    return `${off} is on, and so the LSNs in pages do not show every change`;
  }
  if (!parent.server.dataChecksums && !parent.server.walLogHints)
    return `${off} was on when backup ${parent.id} was taken`;
  const [began, started] = [parseIso(parent.startedAt), parseIso(serverStartedAt)];
  if (began !== undefined && started !== undefined && started < began) return undefined;
  return `the server was restarted after backup ${parent.id} began, and whether data_checksums or wal_log_hints was off meanwhile cannot be seen`;
}

/** Whether servers of this major can summarize WAL at all. */
export function hasSummaries({ major }: ServerRecord): boolean {
  return major >= SUMMARIES_SINCE_MAJOR;
}

const SUMMARIES_SINCE_MAJOR = 17;

/**
 * Why WAL summaries do not tell what has changed. The length of a file before an extension that wrote no WAL is not in them; a
 * backup made from them keeps every truncated file whole, so that no block from before the truncation can come back. One
 * made by pages need not have done so.
 */
export function whyNotBySummaries(
  parent: ParentRecord,
  { server, summarizeWal }: { server: ServerRecord; summarizeWal: boolean },
): string | undefined {
  if (!hasSummaries(server)) return `PostgreSQL ${server.major} has no WAL summaries`;
  if (!summarizeWal) return 'summarize_wal is off';
  const source: ChangeSource = 'wal-summaries';
  if (parent.type === 'full' || parent.settings[CHANGE_SOURCE_SETTING] === source) return undefined;
  return `backup ${parent.id} was not made from WAL summaries`;
}
