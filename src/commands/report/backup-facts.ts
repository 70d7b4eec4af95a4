import { formatLsn } from '../../postgres/lsn.ts';
import { wholeBackups } from '../../repository/backup-chain.ts';
import { windowsOf } from '../../repository/coverage.ts';
import { pointOf, type Overview } from '../../repository/overview.ts';
import type { BackupFact } from './report-facts.ts';

/** What a report says of each backup. Its WAL is missing when there is no moment that it leads to. */
export function backupFacts(overview: Overview, lockedUntil: (id: string) => Date | undefined): BackupFact[] {
  const whole = wholeBackups(overview).map(({ summary }) => pointOf(summary));
  const wholeIds = new Set(whole.map(({ id }) => id));
  const windows = overview.inventory === undefined ? [] : windowsOf(whole, overview.inventory);
  const leading = new Set(windows.flatMap(({ backups }) => backups.map(({ id }) => id)));
  return overview.backups.map(({ summary }) => {
    const { id, type, parent, label, startLsn, timeline, server, sizeBytes, storedBytes } = summary;
    return {
      id,
      type,
      parent,
      label,
      stoppedAt: pointOf(summary).stoppedAt.getTime(),
      startLsn: formatLsn(startLsn),
      timeline,
      pgVersion: server.version,
      sizeBytes,
      storedBytes,
      lockedUntil: lockedUntil(id)?.getTime(),
      fault: !wholeIds.has(id) ? 'chain is broken' : leading.has(id) ? undefined : 'WAL is missing',
    };
  });
}
