import { forkPoint } from '../postgres/timeline-history.ts';
import { formatLsn } from '../postgres/lsn.ts';
import { describePoint, nameOf, partialFor, type WalEvidence, type Way } from './restore-way.ts';
import { describeHole, endPoint, type ReachOptions, type Remark, type Verdict } from './reach-verdict.ts';
import { countsAsHole, isStray } from './timeline-choice.ts';

/**
 * Recovery without a target: as far as the WAL goes. Where something is stored beyond what is missing, that end is a choice that
 * loses what comes after, so it must be asked for. The end of an older timeline that was chosen as such is no hole, though
 * `walhold-fetch` sees one there: it is allowed by name.
 */
export async function wayEnd(way: Way, options: ReachOptions, evidence: WalEvidence): Promise<Verdict> {
  const { inventory } = evidence;
  const { last, missing, next } = way.reach;
  const fork = forkPoint(way.history);
  if (isStray(way.history, inventory) && !options.standby) {
    return {
      reached: false,
      why: `timeline ${way.history.timeline} left its parent at ${formatLsn(fork ?? way.backup.stopLsn)}, and of it no segment from there on is stored`,
      hint: `Follow another timeline with --target-timeline, for example ${last.timeline}.`,
      before: await endPoint(way, evidence),
    };
  }
  if (options.standby) return standbyEnd(way, evidence);
  if (next !== undefined && !options.endAtGap) {
    const before = await endPoint(way, evidence);
    return {
      reached: false,
      why: `${describeHole(way, inventory)}; before it one can recover up to ${describePoint(before)}`,
      hint: `Give a target before it, or --end-at-gap to end there${partialHint(way, evidence)}.`,
      before,
    };
  }
  const remarks: Remark[] = [];
  const segment = nameOf(missing, inventory);
  if (next !== undefined) {
    remarks.push({ level: 'warning', text: `recovery ends at the hole: ${describeHole(way, inventory)}` });
  }
  const found = partialFor(way, inventory);
  const partial = found.kind === 'one' ? found.partial : undefined;
  if (partial !== undefined) {
    const text = `WAL ends in ${segment}.partial, which is put into pg_wal under the segment's name`;
    remarks.push({ level: 'notice', text });
  } else if (found.kind === 'several') {
    const text = `${found.count} different ${segment}.partial are stored: none is used`;
    remarks.push({ level: 'warning', text });
  }
  const gap = countsAsHole(missing.timeline, missing.segno, inventory);
  if (gap && next === undefined) {
    const text = `timeline ${missing.timeline} ends before segment ${segment}: restore_command names it as the end`;
    remarks.push({ level: 'notice', text });
  }
  return {
    reached: true,
    walTo: partial === undefined ? last : missing,
    partial,
    allowGap: gap ? missing : undefined,
    remarks,
  };
}

/** A standby waits at a hole, or streams over it, and never ends recovery by itself. */
function standbyEnd(way: Way, { inventory }: WalEvidence): Verdict {
  const remarks: Remark[] =
    way.reach.next === undefined
      ? []
      : [{ level: 'warning', text: `${describeHole(way, inventory)}: the standby goes no further without streaming` }];
  return { reached: true, walTo: way.reach.last, partial: undefined, allowGap: undefined, remarks };
}

function partialHint(way: Way, { inventory }: WalEvidence): string {
  const found = partialFor(way, inventory);
  return found.kind === 'one' ? ', with what the stored .partial of it holds' : '';
}
