import type { StatusJson } from './status-json.ts';

/** Prometheus' text format, version 0.0.4. What is not known is left out. */
export function metricsOf(status: StatusJson): string {
  const { lastStored, lastBackup, windows } = status;
  const seconds = (iso: string | undefined): number | null => (iso === undefined ? null : Date.parse(iso) / 1000);
  const ends = windows.map(({ to }) => Date.parse(to) / 1000);
  const gauges: [name: string, help: string, value: number | null][] = [
    ['rpo_bytes', 'WAL that is not stored yet.', status.rpoBytes],
    ['rpo_seconds', 'Age of the oldest byte of WAL that is not stored yet.', status.rpoSeconds],
    ['ready_files', 'Files that wait for the archiver.', status.readyFiles],
    ['oldest_ready_seconds', 'For how long the oldest of them waits.', status.oldestReadySeconds],
    ['last_stored_timestamp_seconds', 'When the last segment was stored.', seconds(lastStored?.at)],
    ['last_backup_timestamp_seconds', 'When the last backup stopped.', seconds(lastBackup?.stoppedAt)],
    [
      'recoverable_until_timestamp_seconds',
      'The latest moment one can recover to.',
      ends.length === 0 ? null : Math.max(...ends),
    ],
    [
      'next_lock_expiry_timestamp_seconds',
      'When the first lock ends of what is needed, as far as is known without asking.',
      seconds(status.nextLockExpiry ?? undefined),
    ],
    ['gaps', 'Holes in the stored WAL.', status.gaps.length],
    ['tampering', 'Versions and delete markers of somebody else.', status.tampering.length],
    ['push_failing', 'Whether the last push failed.', status.lastErrors.push === null ? 0 : 1],
    ['fetch_failing', 'Whether the last fetch failed.', status.lastErrors.fetch === null ? 0 : 1],
  ];
  return gauges
    .filter(([, , value]) => value !== null)
    .map(
      ([name, help, value]) =>
        `# HELP walhold_${name} ${help}\n# TYPE walhold_${name} gauge\nwalhold_${name} ${value}\n`,
    )
    .join('');
}
