/** What an incremental backup can build on: looked for before the backup begins, and looked at again once it has. */
import { hasCode, reasonOf } from '../../base/errors.ts';
import { plainPath } from '../../postgres/incremental-file.ts';
import { relationFile } from '../../postgres/relation-file.ts';
import { rootHistory, type TimelineHistory } from '../../postgres/timeline-history.ts';
import type { TimelineId } from '../../postgres/timeline.ts';
import { listBackupIds, readBackup } from '../../repository/backups.ts';
import type { BackupRecord } from '../../repository/backup-record.ts';
import {
  hasSummaries,
  whyNoParent,
  whyNotByPages,
  whyNotBySummaries,
  type ClusterNow,
  type ParentRecord,
} from '../../repository/incremental-parent.ts';
import { backupId, commitKey, type BackupId } from '../../repository/layout.ts';
import { worstOf } from '../../repository/repository.ts';
import { readHistories } from '../../repository/stored-histories.ts';
import { readLocalHistories } from '../../server/local-histories.ts';
import { askWalPosition } from '../../server/wal-position.ts';
import type { BackupRun } from './backup-run.ts';
import type { Refusal } from './backup-type.ts';
import { serverRecord } from './record-of.ts';

export interface IncrementalBasis {
  parent: ParentRecord;
  /** Main forks that the parent holds, whole or changed blocks of them: only of these the new backup may leave blocks out. */
  files: ReadonlySet<string>;
  /** Why WAL summaries, or pages, do not tell what has changed since; at least one does. */
  notBySummaries: string | undefined;
  notByPages: string | undefined;
}

/**
 * The newest backup that every repository holds and that this server's files can be told by; if there is none, why the newest is
 * not. Throws what the stores say, since a backup goes into all of them anyway.
 */
export async function findBasis(run: BackupRun): Promise<IncrementalBasis | Refusal> {
  const { repositories, signal } = run;
  const { holders, failures } = await listBackupIds(repositories, { signal });
  if (failures.length > 0) throw worstOf(failures);
  const { timeline } = await askWalPosition(run.source.session);
  const now = await clusterNow(run, timeline);
  let why: string | undefined;
  for (const id of [...holders.keys()].toReversed()) {
    const found = await basisOn(run, id, now);
    if (typeof found === 'object') return found;
    why ??= found;
  }
  return { why: why ?? 'there is no backup to build on' };
}

/** The server as it is on this timeline, before the backup begins. */
export async function clusterNow(run: BackupRun, timeline: TimelineId): Promise<ClusterNow> {
  const id = backupId(new Date(run.context.clock.now()), 'incremental');
  return { server: serverRecord(run.source), history: await historyOf(run, timeline), startLsn: undefined, id };
}

/** A text: why not. `undefined`: there is no such backup, only the beginning of one. */
async function basisOn(run: BackupRun, id: BackupId, now: ClusterNow): Promise<IncrementalBasis | string | undefined> {
  const record = await recordOf(run, id);
  if (typeof record !== 'object') return record;
  const ways = waysFrom(run, record, now);
  const why = whyNoParent(record, now) ?? noWay(ways, now) ?? (await whyNotWhole(run, record));
  if (why !== undefined) return why;
  return { ...parentFrom(record), ...ways };
}

/** The parent of this name, if its files can be what this server's are told by. How that is done is another question. */
export async function findParent(
  run: BackupRun,
  id: BackupId,
  now: ClusterNow,
): Promise<Pick<IncrementalBasis, 'parent' | 'files'> | Refusal> {
  const record = await recordOf(run, id);
  if (typeof record !== 'object') return { why: record ?? `backup ${id}, which it builds on, is missing` };
  const why = whyNoParent(record, now) ?? (await whyNotWhole(run, record));
  return why === undefined ? parentFrom(record) : { why };
}

function parentFrom({ parts, ...parent }: BackupRecord): Pick<IncrementalBasis, 'parent' | 'files'> {
  const paths = parts.flatMap(({ frames }) => frames.flatMap(({ files }) => files.map(({ path }) => mainFork(path))));
  return { parent, files: new Set(paths.filter((path) => path !== undefined)) };
}

type Ways = Pick<IncrementalBasis, 'notBySummaries' | 'notByPages'>;

function waysFrom({ source }: BackupRun, parent: ParentRecord, { server }: ClusterNow): Ways {
  const { settings, startedAt } = source.facts;
  const isOn = (name: string): boolean => settings.get(name) === 'on';
  const pages = { server, walLogHints: isOn('wal_log_hints'), serverStartedAt: startedAt };
  return {
    notBySummaries: whyNotBySummaries(parent, { server, summarizeWal: isOn('summarize_wal') }),
    notByPages: whyNotByPages(parent, pages),
  };
}

function noWay({ notBySummaries, notByPages }: Ways, { server }: ClusterNow): string | undefined {
  if (notBySummaries === undefined || notByPages === undefined) return undefined;
  return hasSummaries(server) ? `${notBySummaries}; ${notByPages}` : notByPages;
}

/** Every link of the chain must be in every repository: what is restored from one is restored from it alone. */
async function whyNotWhole(run: BackupRun, parent: BackupRecord): Promise<string | undefined> {
  for (let record = parent; ;) {
    const missing = await whereMissing(run, record.id);
    if (missing !== undefined) return `backup ${record.id} is not in ${missing}`;
    if (record.parent === undefined) return undefined;
    const next = await recordOf(run, record.parent);
    if (next === undefined) return `backup ${record.parent} is missing, and backup ${record.id} builds on it`;
    if (typeof next === 'string') return next;
    record = next;
  }
}

async function whereMissing({ repositories, signal }: BackupRun, id: BackupId): Promise<string | undefined> {
  for (const { store, url } of repositories) {
    if ((await store.stat(commitKey(id), { signal })) === undefined) return url;
  }
  return undefined;
}

/** A text: what is wrong with it. `undefined`: there is none. */
async function recordOf(run: BackupRun, id: BackupId): Promise<BackupRecord | string | undefined> {
  const { repositories, signal, source } = run;
  try {
    return (await readBackup(repositories, id, { signal, systemId: source.control.systemId }))?.record;
  } catch (error) {
    if (!hasCode(error, 'damaged', 'bad-format')) throw error;
    return `the record of backup ${id} is damaged (${error.detail ?? reasonOf(error)})`;
  }
}

/** From `pg_wal`, else from the repositories. One that is nowhere is taken for that of a timeline without ancestors. */
async function historyOf({ source, repositories, signal }: BackupRun, timeline: TimelineId): Promise<TimelineHistory> {
  if (timeline === 1) return rootHistory(timeline);
  const local = (await readLocalHistories(source.dataDirectory)).find((history) => history.timeline === timeline);
  if (local !== undefined) return local;
  const { systemId } = source.control;
  const { histories } = await readHistories(new Map([[timeline, repositories]]), { signal, systemId });
  return histories.get(timeline) ?? rootHistory(timeline);
}

function mainFork(path: string | Buffer): string | undefined {
  if (typeof path !== 'string') return undefined;
  return plainPath(path) ?? (relationFile(path)?.fork === 'main' ? path : undefined);
}
