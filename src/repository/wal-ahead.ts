import type { PathLeg, PathSegment } from './recovery-path.ts';
import type { WalEvidence } from './restore-way.ts';
import { UNKNOWN } from './segment-times.ts';
import { walOf } from './wal-inventory.ts';

/**
 * Whether a server that reads WAL ahead of its replay meets trouble behind the segment that its target lies in: a segment that is
 * missing though WAL goes on, or one that cannot be trusted. PostgreSQL asks for it before it has come to the target (`recovery_prefetch`,
 * from 15 on: xlogprefetcher.c decodes up to `wal_decode_buffer_size` ahead), and a command that rightly refuses it would stop a recovery
 * that needs none of it. The end of what is stored is no trouble.
 */
export async function troubleBehind(
  walTo: PathSegment,
  legs: readonly PathLeg[],
  { inventory, times }: WalEvidence,
): Promise<boolean> {
  const segno = walTo.segno + 1n;
  const ahead = legs.filter(({ last }) => last === undefined || last >= segno);
  const timeline = ahead[0]?.timeline ?? walTo.timeline;
  if (walOf(inventory, timeline).segments.get(segno) !== undefined)
    return (await times.segment({ timeline, segno })) === UNKNOWN;
  return ahead.some((leg) => (walOf(inventory, leg.timeline).segments.runs.at(-1)?.last ?? 0n) > segno);
}
