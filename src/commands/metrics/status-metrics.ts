import { VERSION } from '../../base/version.ts';
import { wholeBackups } from '../../repository/backup-chain.ts';
import type { BackupSummary } from '../../repository/backups.ts';
import type { DrillsJson } from '../drills-json.ts';
import type { StatusFindings } from '../status-gather.ts';
import type { StatusJson } from '../status-json.ts';
import { MetricSet } from './metric-set.ts';

/** Each failover adds a timeline: so many, the newest, are told of. */
const MOST_TIMELINES = 5;

export function statusMetrics({ status, overview, hasNotes }: StatusFindings): MetricSet {
  const { lastStored, nextLockExpiry, repositories, gaps, tampering } = status;
  const metrics = new MetricSet();
  metrics.add('build_info', 1, { version: VERSION }).add('status_timestamp_seconds', secondsOf(status.at));
  for (const { repository, ok } of repositories) metrics.add('store_up', ok, { repository: String(repository) });
  metrics.add('tampering', tampering.length);
  addLocal(metrics, status);
  if (hasNotes) addNotes(metrics, status);
  if (overview === undefined) return metrics;
  metrics.add('last_stored_timestamp_seconds', secondsOf(lastStored?.at)).add('gaps', gaps.length);
  metrics.add('next_lock_expiry_timestamp_seconds', secondsOf(nextLockExpiry));
  const windows = status.windows.toSorted((a, b) => b.timeline - a.timeline).slice(0, MOST_TIMELINES);
  for (const { timeline, from, to } of windows.toReversed()) {
    metrics.add('window_start_timestamp_seconds', secondsOf(from), { timeline: String(timeline) });
    metrics.add('window_end_timestamp_seconds', secondsOf(to), { timeline: String(timeline) });
  }
  const backups = wholeBackups(overview).map(({ summary }) => summary);
  for (const type of ['full', 'incremental'] as const) addBackups(metrics, type, backups);
  metrics.add('damaged_backups', overview.damaged.length);
  addDrills(metrics, status);
  return metrics;
}

/** What drills have shown, where there was one. */
export function addDrills(metrics: MetricSet, { lastDrill, lastProven }: DrillsJson): void {
  if (lastDrill !== null) {
    metrics.add('last_drill_timestamp_seconds', secondsOf(lastDrill.at)).add('last_drill_ok', lastDrill.ok);
    metrics.add('last_drill_rto_seconds', lastDrill.rtoSeconds).add('last_drill_rpo_seconds', lastDrill.rpoSeconds);
  }
  if (lastProven !== null) metrics.add('last_proven_timestamp_seconds', secondsOf(lastProven.at));
}

/** Of the server on this machine, where one was named. */
function addLocal(metrics: MetricSet, { rpoSeconds, rpoBytes, readyFiles, oldestReadySeconds }: StatusJson): void {
  metrics.add('rpo_seconds', rpoSeconds).add('rpo_bytes', rpoBytes).add('ready_files', readyFiles);
  metrics.add('oldest_ready_seconds', oldestReadySeconds);
}

/** What its commands have left in its data directory. */
function addNotes(metrics: MetricSet, { lastErrors, worker }: StatusJson): void {
  metrics.add('push_failing', lastErrors.push !== null).add('fetch_failing', lastErrors.fetch !== null);
  metrics.add('worker_up', worker.running);
  for (const role of ['push', 'fetch'] as const) {
    metrics.add('worker_in_flight_files', worker[role]?.inFlight, { role });
    metrics.add('worker_files_total', worker[role]?.done, { role });
  }
}

function addBackups(metrics: MetricSet, type: BackupSummary['type'], backups: readonly BackupSummary[]): void {
  const own = backups.filter((backup) => backup.type === type);
  metrics.add('backups', own.length, { type });
  const last = own.at(-1);
  if (last === undefined) return;
  const ended = secondsOf(last.stoppedAt);
  const begun = secondsOf(last.startedAt);
  metrics.add('last_backup_timestamp_seconds', ended, { type });
  metrics.add('last_backup_duration_seconds', ended === null || begun === null ? null : ended - begun, { type });
  metrics.add('last_backup_size_bytes', last.sizeBytes, { type });
  metrics.add('last_backup_stored_bytes', last.storedBytes, { type });
}

/** Since 1970, to the millisecond. */
function secondsOf(iso: string | null | undefined): number | null {
  return iso === null || iso === undefined ? null : Date.parse(iso) / 1000;
}
