import { formatBytes } from './format-bytes.ts';
import type { BackupJson, ListJson } from './list.ts';
import { textTable } from './text-table.ts';

/** For people: three tables, each only where there is something to say. Times are UTC. */
export function describeList({ backups, windows, gaps }: ListJson): string {
  const parts = [
    backups.length === 0
      ? 'no backup is stored\n'
      : textTable(
          ['BACKUP', 'LABEL', 'STOPPED AT', 'TIMELINE', 'START LSN', 'STOP LSN', 'PG', 'SIZE', 'STORED'],
          backups.map(backupRow),
          new Set(['TIMELINE', 'START LSN', 'STOP LSN', 'SIZE', 'STORED']),
        ),
    windows.length === 0
      ? 'there is no moment that one can recover to\n'
      : textTable(
          ['RECOVERABLE FROM', 'TO', 'TIMELINE', 'FROM LSN', 'TO LSN'],
          windows.map(({ from, to, timeline, fromLsn, toLsn }) => [from, to, String(timeline), fromLsn, toLsn]),
          new Set(['TIMELINE', 'FROM LSN', 'TO LSN']),
        ),
  ];
  if (gaps.length > 0) {
    const rows = gaps.map(({ timeline, first, last }) => [first, last, String(timeline)]);
    parts.push(textTable(['MISSING FROM', 'TO', 'TIMELINE'], rows, new Set(['TIMELINE'])));
  }
  return parts.join('\n');
}

function backupRow(backup: BackupJson): string[] {
  const { id, label, stoppedAt, timeline, startLsn, stopLsn, pgVersion, sizeBytes, storedBytes } = backup;
  const where = [id, label, stoppedAt, String(timeline), startLsn, stopLsn];
  return [...where, pgVersion.split(' ')[0] ?? '', formatBytes(sizeBytes), formatBytes(storedBytes)];
}
