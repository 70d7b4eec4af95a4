import { describeProof } from './drills-json.ts';
import { formatBytes } from './format-bytes.ts';
import type { BackupJson, ListJson } from './list.ts';
import { plainText } from './plain-text.ts';
import { textTable } from './text-table.ts';

/** For people: three tables, each only where there is something to say. Times are UTC. */
export function describeList({ backups, windows, gaps, ...drills }: ListJson): string {
  const hasChains = backups.some(({ parent }) => parent !== null);
  const parts = [
    backups.length === 0
      ? 'no backup is stored\n'
      : textTable(
          [
            'BACKUP',
            ...(hasChains ? ['PARENT'] : []),
            'LABEL',
            'STOPPED AT',
            'TIMELINE',
            'START LSN',
            'STOP LSN',
            'PG',
            'SIZE',
            'STORED',
          ],
          backups.map((backup) => backupRow(backup, hasChains)),
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
  if (backups.length > 0) parts.push(`recovery ${plainText(describeProof(drills))}\n`);
  return parts.join('\n');
}

function backupRow(backup: BackupJson, hasChains: boolean): string[] {
  const { id, parent, label, stoppedAt, timeline, startLsn, stopLsn, pgVersion, sizeBytes, storedBytes } = backup;
  const where = [id, ...(hasChains ? [parent ?? ''] : []), label, stoppedAt, String(timeline), startLsn, stopLsn];
  return [...where, pgVersion.split(' ')[0] ?? '', formatBytes(sizeBytes), formatBytes(storedBytes)];
}
