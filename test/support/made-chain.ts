import { incrementalPath } from '../../src/postgres/incremental-file.ts';
import { lsn, formatLsn, type Lsn } from '../../src/postgres/lsn.ts';
import { timelineId } from '../../src/postgres/timeline.ts';
import { segmentName, segnoOfLsn } from '../../src/postgres/wal-name.ts';
import type { BackupRecord } from '../../src/repository/backup-record.ts';
import type { BackupId } from '../../src/repository/layout.ts';
import type { FileRepository } from './file-repository.ts';
import { incrementalMember, type Change } from './incremental-member.ts';
import { SMALL_CLUSTER } from './restorable-backup.ts';
import { inSegment, putBackup, type Contents } from './stored-backup.ts';

export const BLOCK_BYTES = 1024;
const SEGMENT_BYTES = 1024 * 1024;

/** One backup of a chain: relations by path, and how they came from those before. */
export interface LinkContents {
  relations: Readonly<Record<string, Buffer>>;
  /** Of relations that are stored as incremental files; the others are stored whole. */
  changes?: Readonly<Record<string, Omit<Change, 'after'>>>;
  /** Other files. */
  others?: Contents;
}

export interface PutLink {
  id: string;
  parent: BackupRecord | undefined;
  /** The segment that it starts in. */
  segno: number;
  /** In place of the parent's beginning. */
  from?: Lsn;
  /** As in `BackupOptions`. */
  filesPerFrame?: number;
  change?: (record: BackupRecord) => BackupRecord;
}

/** The `n`-th identifier of a chain: the first is a full backup's. */
export function linkId(n: number): string {
  return `20261122T${String(10 + n).padStart(2, '0')}0000Z-${n === 0 ? 'full' : 'incr'}`;
}

/** Puts a backup that builds on `parent` into the repository, with blocks of `BLOCK_BYTES`. */
export async function putLink(
  repository: FileRepository,
  { relations, changes = {}, others = {} }: LinkContents,
  { id, parent, segno, from, filesPerFrame = Infinity, change = (record) => record }: PutLink,
): Promise<BackupRecord> {
  const members = Object.entries(relations).map(([path, after]): [string, Buffer] => {
    const by = changes[path];
    return by === undefined ? [path, after] : [incrementalPath(path), incrementalMember({ ...by, after }, BLOCK_BYTES)];
  });
  const startLsn = inSegment(segno);
  const { 'global/pg_control': control = '', PG_VERSION: version = '' } = SMALL_CLUSTER;
  const half = members.length >> 1;
  const parts: Contents[] = [
    { PG_VERSION: version, ...Object.fromEntries(members.slice(0, half)), ...others },
    Object.fromEntries(members.slice(half)),
    { backup_label: labelText(startLsn, parent, from), 'global/pg_control': control },
  ];
  const hour = Number(id.slice(9, 11));
  const stoppedAt = `2026-11-22T${String(hour).padStart(2, '0')}:30:00Z`;
  const options = { id, startLsn, stopLsn: inSegment(segno, 400), stoppedAt, parts, filesPerFrame };
  return await putBackup(repository, options, (record) =>
    change({
      ...record,
      type: parent === undefined ? 'full' : 'incremental',
      parent: parent?.id,
      server: { ...record.server, blockBytes: BLOCK_BYTES, blocksPerFile: 64 * 1024 },
    }),
  );
}

/** As a server writes it. */
export function labelText(startLsn: Lsn, parent: { startLsn: Lsn; id: BackupId } | undefined, from?: Lsn): string {
  const name = segmentName(timelineId(1), segnoOfLsn(startLsn, SEGMENT_BYTES), SEGMENT_BYTES);
  const lines = [
    `START WAL LOCATION: ${formatLsn(startLsn)} (file ${name})`,
    `CHECKPOINT LOCATION: ${formatLsn(lsn(startLsn + 56n))}`,
    'BACKUP METHOD: streamed',
    'BACKUP FROM: primary',
    'START TIME: 2026-11-22 10:00:00 UTC',
    'LABEL: made by a test',
    'START TIMELINE: 1',
  ];
  if (parent !== undefined) {
    lines.push(`INCREMENTAL FROM LSN: ${formatLsn(from ?? parent.startLsn)}`, 'INCREMENTAL FROM TLI: 1');
  }
  return `${lines.join('\n')}\n`;
}
