import type { PathLeg, PathSegment } from './recovery-path.ts';
import { countOf, missingIn } from './segment-runs.ts';
import { walOf, type WalInventory } from './wal-inventory.ts';

/** What one repository lacks of a way's WAL: how many segments, and the first. `undefined`: nothing. */
export function lacksOf(
  repository: number,
  legs: readonly PathLeg[],
  upTo: bigint,
  inventory: WalInventory,
): { first: PathSegment; count: bigint } | undefined {
  let first: PathSegment | undefined;
  let count = 0n;
  for (const leg of legs) {
    const last = leg.last !== undefined && leg.last < upTo ? leg.last : upTo;
    if (last < leg.first) continue;
    const missing = missingIn(walOf(inventory, leg.timeline).segments.runsIn(repository), leg.first, last);
    count += countOf(missing);
    const [run] = missing;
    if (run !== undefined) first ??= { timeline: leg.timeline, segno: run.first };
  }
  return first === undefined ? undefined : { first, count };
}
