import { segmentName } from '../../src/postgres/wal-name.ts';
import { timelineId } from '../../src/postgres/timeline.ts';
import type { ObjectAbout } from '../../src/repository/object-head.ts';
import { SYSTEM_ID, type FileRepository } from './file-repository.ts';
import { WalBuilder } from './wal-builder.ts';

const MIB = 1024 * 1024;

/** A segment of 1 MiB as PostgreSQL writes it. */
export function segmentBytes(segno: number, timeline = 1): Buffer {
  const builder = new WalBuilder({ segno: BigInt(segno), timeline, systemId: SYSTEM_ID });
  builder.record({ xid: 700, data: Buffer.from(`segment ${segno}`) });
  builder.switchSegment();
  return builder.segment(0);
}

export function nameOf(segno: number, timeline = 1): string {
  return segmentName(timelineId(timeline), BigInt(segno), MIB);
}

/** Puts real segments, first to last, into the repository. */
export async function putSegments(
  repository: Pick<FileRepository, 'putWal'>,
  first: number,
  last: number,
  { timeline = 1, about = {} }: { timeline?: number; about?: Partial<ObjectAbout> } = {},
): Promise<void> {
  for (let segno = first; segno <= last; segno += 1) {
    await repository.putWal(nameOf(segno, timeline), segmentBytes(segno, timeline), about);
  }
}
