import { segmentStart } from '../postgres/wal-name.ts';
import { lastMoment, type Stretch } from './commit-search.ts';
import type { PathSegment } from './recovery-path.ts';
import { nameOf, type Point, type WalEvidence, type Way } from './restore-way.ts';
import type { StoredPartial, WalInventory } from './wal-inventory.ts';

/** Something to be said beside the plan. */
export interface Remark {
  readonly level: 'notice' | 'warning';
  readonly text: string;
}

export type Verdict =
  | {
      readonly reached: true;
      /** The last segment (or partial) that recovery reads, as far as that can be told. */
      readonly walTo: PathSegment;
      /** To be put into `pg_wal` under its segment's name. */
      readonly partial: StoredPartial | undefined;
      /** The missing segment at which WAL may end: it must be named in `restore_command`. */
      readonly allowGap: PathSegment | undefined;
      readonly remarks: readonly Remark[];
    }
  | {
      readonly reached: false;
      readonly why: string;
      readonly hint: string | undefined;
      /** The last moment that this way does lead to. */
      readonly before: Point | undefined;
    };

export interface ReachOptions {
  /** Stop before the target, not after it. */
  readonly exclusive: boolean;
  readonly endAtGap: boolean;
  readonly standby: boolean;
}

export function reached(walTo: PathSegment, remarks: readonly Remark[] = []): Verdict {
  return { reached: true, walTo, partial: undefined, allowGap: undefined, remarks };
}

/** The whole stored WAL of a way. */
export function stretchOf(way: Way, { inventory, times }: WalEvidence): Stretch {
  return { legs: way.legs, first: way.first, last: way.reach.last.segno, inventory, times };
}

/** Where the stored WAL of a way ends, by what the last heads say. */
export async function endPoint(way: Way, evidence: WalEvidence): Promise<Point> {
  const last = await lastMoment(stretchOf(way, evidence));
  const { endLsn } = await evidence.times.segment(way.reach.last);
  const lsn = endLsn ?? segmentStart(way.reach.last.segno + 1n, evidence.inventory.segmentBytes);
  const micros = last !== undefined && last.at > way.backup.stoppedMicros ? last.at : way.backup.stoppedMicros;
  return { micros, lsn };
}

/** `WAL is missing from segment A to segment B`. */
export function describeHole({ reach: { missing, next } }: Way, inventory: WalInventory): string {
  const first = nameOf(missing, inventory);
  if (next === undefined) return `WAL ends before segment ${first}`;
  const after = nameOf(next, inventory);
  return `WAL is missing from segment ${first} on; the next that is stored is ${after}`;
}
