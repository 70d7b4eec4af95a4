/** Finding moments in the WAL by few small reads: commits rise along it, nearly. */
import { microsFromMs } from '../postgres/timestamp.ts';
import { legOf, type PathLeg, type PathSegment } from './recovery-path.ts';
import type { SegmentTimes } from './segment-times.ts';
import { walOf, type WalInventory } from './wal-inventory.ts';

/** A stretch of a path all of whose segments are stored, both ends included. */
export interface Stretch {
  readonly legs: readonly PathLeg[];
  readonly first: bigint;
  readonly last: bigint;
  readonly inventory: WalInventory;
  readonly times: SegmentTimes;
}

export interface Moment {
  /** Microseconds since 1970. */
  readonly at: bigint;
  readonly segno: bigint;
  /** `stored`: nothing is known of the commits there, so it is when the segment was stored, which is later. */
  readonly by: 'commit' | 'stored';
}

/** An idle server with archive_timeout leaves long rows of segments without a commit; beyond these, the time of storing serves. */
const LONGEST_WALK = 64;

/**
 * The latest end of a transaction in the stretch, or as near to it as the heads tell. `undefined`: there is none in the whole of it.
 */
export async function lastMoment(stretch: Stretch): Promise<Moment | undefined> {
  let walked = 0;
  for (let segno = stretch.last; segno >= stretch.first; segno -= 1n) {
    const facts = await stretch.times.segment(segmentAt(stretch, segno));
    if (facts.lastCommit !== undefined) return { at: facts.lastCommit, segno, by: 'commit' };
    if (facts.commits !== 0) return await storedMoment(stretch, segno);
    walked += 1;
    if (walked > LONGEST_WALK) return await storedMoment(stretch, segno);
  }
  return undefined;
}

/**
 * The first segment in which a transaction ends later than `micros` (`orAt`: then or later): recovery to that time stops there.
 * `undefined`: in none.
 */
export async function firstLaterThan(stretch: Stretch, micros: bigint, orAt: boolean): Promise<Moment | undefined> {
  const later = (moment: Moment): boolean => (orAt ? moment.at >= micros : moment.at > micros);
  let low = stretch.first;
  let high = stretch.last;
  let found: Moment | undefined;
  while (low <= high) {
    const middle = (low + high) / 2n;
    // Segments without a commit say nothing: the next one that has any decides for them.
    const moment = await nextMoment(stretch, middle, high);
    if (moment === undefined) high = middle - 1n;
    else if (later(moment)) {
      found = moment;
      high = middle - 1n;
    } else low = moment.segno + 1n;
  }
  return found;
}

async function nextMoment(stretch: Stretch, from: bigint, to: bigint): Promise<Moment | undefined> {
  for (let segno = from; segno <= to; segno += 1n) {
    const facts = await stretch.times.segment(segmentAt(stretch, segno));
    if (facts.lastCommit !== undefined) return { at: facts.lastCommit, segno, by: 'commit' };
    if (facts.commits !== 0 || segno - from >= LONGEST_WALK) return await storedMoment(stretch, segno);
  }
  return undefined;
}

async function storedMoment(stretch: Stretch, segno: bigint): Promise<Moment> {
  const segment = segmentAt(stretch, segno);
  const known = walOf(stretch.inventory, segment.timeline).segments.get(segno)?.storedAt;
  const storedAt = known ?? (await stretch.times.storedAt(segment));
  return { at: microsFromMs(storedAt?.getTime() ?? 0), segno, by: 'stored' };
}

function segmentAt({ legs }: Stretch, segno: bigint): PathSegment {
  const leg = legOf(legs, segno);
  if (leg === undefined) throw new RangeError(`segment ${segno} is not on the path`);
  return { timeline: leg.timeline, segno };
}
