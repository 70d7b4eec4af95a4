/**
 * Every metric that walhold prints, without the prefix `walhold_`, in the order of the file: who finds it out, and so replaces it in
 * `metrics_file`, and what it is. Values are gauges in base units (seconds, bytes; moments in seconds since 1970), but for one counter. All
 * bear the label `archive`, the setting `repo`, since files of several clusters can lie in one directory.
 */
export const METRICS = {
  build_info: ['status', 'Version of walhold that looked last; always 1.'],
  status_timestamp_seconds: ['status', 'When all this was found out, but for what names another time.'],
  store_up: ['status', 'Whether a repository answered and is what it should be, by its number.'],
  rpo_seconds: ['status', 'Age of the oldest byte of WAL that is not stored yet; 0 if there is none.'],
  rpo_bytes: ['status', 'WAL that is not stored yet.'],
  ready_files: ['status', 'Files that wait for the archiver.'],
  oldest_ready_seconds: ['status', 'For how long the oldest of them waits; 0 if there is none.'],
  last_stored_timestamp_seconds: ['status', 'When the last segment was stored, by the clock of the store.'],
  gaps: ['status', 'Holes in the stored WAL.'],
  window_start_timestamp_seconds: ['status', 'The earliest moment that one can recover to, by timeline.'],
  window_end_timestamp_seconds: ['status', 'The latest moment that one can recover to, by timeline.'],
  backups: ['status', 'Backups that can be restored, by type.'],
  damaged_backups: ['status', 'Backups whose record cannot be trusted.'],
  last_backup_timestamp_seconds: ['status', 'When the last backup ended, by type.'],
  last_backup_duration_seconds: ['status', 'How long it took, by type.'],
  last_backup_size_bytes: ['status', 'Size of its files, by type.'],
  last_backup_stored_bytes: ['status', 'Size of what it stored, by type.'],
  next_lock_expiry_timestamp_seconds: [
    'status',
    'When the first lock ends of what is needed, as far as is known without asking for every object.',
  ],
  push_failing: ['status', 'Whether the last push failed.'],
  fetch_failing: ['status', 'Whether the last fetch failed.'],
  worker_up: ['status', 'Whether the background worker runs.'],
  worker_in_flight_files: ['status', 'Files that it is working on, by role.'],
  worker_files_total: ['status', 'Files that it has done since it began, by role.'],
  tampering: ['status', 'Versions and delete markers of somebody else that were met.'],
  last_drill_timestamp_seconds: ['drill', 'When the last drill began.'],
  last_drill_ok: ['drill', 'Whether it found all well.'],
  last_drill_rto_seconds: ['drill', 'How long it took until the recovered server took queries.'],
  last_drill_rpo_seconds: ['drill', 'How old the last commit was that came back, when it began.'],
  last_proven_timestamp_seconds: ['proof', 'When the last drill that found all well began.'],
  last_check_timestamp_seconds: ['check', 'When walhold check was last run here.'],
  last_check_ok: ['check', 'Whether all was as it must be.'],
  last_verify_timestamp_seconds: ['verify', 'When walhold verify was last run here.'],
  last_verify_ok: ['verify', 'Whether it found no problem.'],
  last_verify_read_ratio: ['verify', 'The share of the contents that it read.'],
  last_expire_timestamp_seconds: ['expire', 'When walhold expire was last run here.'],
  last_expire_ok: ['expire', 'Whether it did all it had to.'],
} as const;

export type MetricSource = 'status' | 'drill' | 'proof' | 'check' | 'verify' | 'expire';

export type MetricName = keyof typeof METRICS;

export interface Metric {
  type: 'gauge' | 'counter';
  of: MetricSource;
  help: string;
}

export const PREFIX = 'walhold_';

export const METRIC_NAMES: readonly MetricName[] = Object.keys(METRICS) as MetricName[];

export function metricOf(name: MetricName): Metric {
  const [of, help]: readonly [MetricSource, string] = METRICS[name];
  return { type: name.endsWith('_total') ? 'counter' : 'gauge', of, help };
}

export function isMetricName(name: string): name is MetricName {
  return Object.hasOwn(METRICS, name);
}
