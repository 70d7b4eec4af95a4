import type { Lsn } from '../../src/postgres/lsn.ts';
import type { BackupRecord } from '../../src/repository/backup-record.ts';
import { parseBackupId, type BackupId } from '../../src/repository/layout.ts';
import { nameOf, putSegments } from './made-segments.ts';
import type { FileRepository } from './file-repository.ts';
import { labelText } from './made-chain.ts';
import { inSegment, putBackup, type Contents } from './stored-backup.ts';

/** Backups of long ago: two full ones with a chain on the first, one that is kept for ever, and the newest. Each a month later. */
export const OLD = '20260101T000000Z-full';
export const OLD_CHILD = '20260201T000000Z-incr';
export const OLD_GRANDCHILD = '20260301T000000Z-incr';
export const KEPT = '20260401T000000Z-full';
export const LATER = '20260501T000000Z-full';
export const NEWEST = '20260601T000000Z-full';
/** With retention_full = 1, each before all that it builds on. */
export const GOING: readonly string[] = [LATER, OLD_GRANDCHILD, OLD_CHILD, OLD];

/** Each begins in this segment and ends in the next one. */
const STARTS: Readonly<Record<string, number>> = {
  [OLD]: 2,
  [OLD_CHILD]: 4,
  [OLD_GRANDCHILD]: 6,
  [KEPT]: 8,
  [LATER]: 11,
  [NEWEST]: 14,
};
const PARENTS: Readonly<Record<string, string>> = { [OLD_CHILD]: OLD, [OLD_GRANDCHILD]: OLD_CHILD };
const FIRST_SEGMENT = 1;
const LAST_SEGMENT = 17;
/** What makes the kept backup consistent, and what leads on from the newest. */
export const STAYING: readonly number[] = [8, 9, 14, 15, 16, 17];

export const SEGMENTS: readonly number[] = Array.from(
  { length: LAST_SEGMENT - FIRST_SEGMENT + 1 },
  (_, at) => FIRST_SEGMENT + at,
);
export const keyOf = (segno: number): string => `wal/00000001/0000000100000000/${nameOf(segno)}.zst`;
const DOOMED_SEGMENTS: readonly string[] = SEGMENTS.filter((segno) => !STAYING.includes(segno)).map(keyOf);
/** A record, a manifest and two parts each. */
export const DOOMED_OBJECTS: number = DOOMED_SEGMENTS.length + GOING.length * 4;

/** Fills it with these backups and the WAL from before the first until after the last. */
export async function putExpirable(repository: FileRepository): Promise<void> {
  await putSegments(repository, FIRST_SEGMENT, LAST_SEGMENT);
  for (const [id, segno] of Object.entries(STARTS)) {
    const stoppedAt = `${id.slice(0, 4)}-${id.slice(4, 6)}-${id.slice(6, 8)}T00:01:00Z`;
    const startLsn = inSegment(segno);
    await putBackup(
      repository,
      { id, startLsn, stopLsn: inSegment(segno + 1, 400), stoppedAt, parts: filesOf(id, startLsn) },
      (record): BackupRecord => ({
        ...record,
        ...(PARENTS[id] === undefined ? {} : { type: 'incremental', parent: parseBackupId(PARENTS[id]) as BackupId }),
        ...(id === KEPT ? { keepUntil: 'forever' } : {}),
      }),
    );
  }
}

/** Of an incremental one the label must name its parent's start. */
function filesOf(id: string, startLsn: Lsn): Contents[] {
  const parent = PARENTS[id];
  const from = parent === undefined ? undefined : { id: parent as BackupId, startLsn: inSegment(STARTS[parent] ?? 0) };
  return [
    { 'base/1/1259': 'a table' },
    { backup_label: labelText(startLsn, from), 'global/pg_control': 'x'.repeat(8192) },
  ];
}
