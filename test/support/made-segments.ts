import { segmentName } from '../../src/postgres/wal-name.ts';
import { timelineId } from '../../src/postgres/timeline.ts';
import type { ObjectAbout } from '../../src/repository/object-head.ts';
import { SYSTEM_ID, type FileRepository } from './file-repository.ts';
import { WalBuilder } from './wal-builder.ts';

const MIB = 1024 * 1024;
/** As backups that tests make say it of their server. */
const PG15 = 0xd110;

/** A segment of 1 MiB as PostgreSQL writes it: one record and a switch. It goes on from the one that this makes of the number before. */
export function segmentBytes(segno: number, timeline = 1): Buffer {
  const previous = switchIn(segno - 1);
  const builder = new WalBuilder({ segno: BigInt(segno), timeline, systemId: SYSTEM_ID, magic: PG15, previous });
  builder.record({ xid: 700, data: contentOf(segno) });
  builder.switchSegment();
  return builder.segment(0);
}

function contentOf(segno: number): Buffer {
  return Buffer.from(`segment ${segno}`);
}

/** Where its switch begins. */
function switchIn(segno: number): bigint {
  const first = 24 + contentOf(segno).length;
  return BigInt(segno * MIB + 40 + Math.ceil(first / 8) * 8);
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
