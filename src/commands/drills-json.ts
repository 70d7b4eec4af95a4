/** What drills have shown, for `list` and `status`. */
import { readKnownDrills } from '../repository/drill-records.ts';
import type { DrillRecord } from '../repository/drill-record.ts';
import type { Overview } from '../repository/overview.ts';
import type { CommandContext } from './command-context.ts';
import { warnOfUnread } from './repository-failures.ts';

export interface DrillSummaryJson {
  at: string;
  ok: boolean;
  backup: string;
  target: string;
  targetReached: boolean;
  rtoSeconds: number | null;
  rpoSeconds: number | null;
  lastCommitAt: string | null;
  /** Names of the checks that found something wrong. */
  failed: string[];
}

export interface DrillsJson {
  lastDrill: DrillSummaryJson | null;
  lastProven: DrillSummaryJson | null;
}

export const NO_DRILLS: DrillsJson = { lastDrill: null, lastProven: null };

/** A few requests in each repository. One that does not tell is a warning. */
export async function drillsJson(
  { repositories, systemId }: Pick<Overview, 'repositories' | 'systemId'>,
  { signal, clock, log }: Pick<CommandContext, 'signal' | 'clock' | 'log'>,
): Promise<DrillsJson> {
  const { last, proven, failures } = await readKnownDrills(repositories, { signal, systemId, now: clock.now() });
  warnOfUnread(log, failures);
  return {
    lastDrill: last === undefined ? null : summaryOf(last),
    lastProven: proven === undefined ? null : summaryOf(proven),
  };
}

/** `was last proven at …, with backup …`. */
export function describeProof({ lastDrill, lastProven }: DrillsJson): string {
  if (lastDrill === null) return 'was never proven by a drill';
  const proven =
    lastProven === null ? 'was never proven' : `was last proven at ${lastProven.at}, ${figures(lastProven)}`;
  if (lastDrill.ok) return proven;
  const wrong = lastDrill.failed.length === 0 ? '' : ` (${lastDrill.failed.join(', ')})`;
  return `failed in the drill at ${lastDrill.at}, with backup ${lastDrill.backup}${wrong}; it ${proven}`;
}

function figures({ backup, rtoSeconds, rpoSeconds }: DrillSummaryJson): string {
  const took = rtoSeconds === null ? '' : `: ${rtoSeconds} s`;
  const lost = rpoSeconds === null ? '' : `, the last commit ${rpoSeconds} s old`;
  return `with backup ${backup}${took}${lost}`;
}

export function summaryOf(record: DrillRecord): DrillSummaryJson {
  const { at, ok, backup, target, targetReached, rtoSeconds, rpoSeconds, lastCommitAt, checks } = record;
  return {
    at: at.toISOString(),
    ok,
    backup,
    target,
    targetReached,
    rtoSeconds: rtoSeconds ?? null,
    rpoSeconds: rpoSeconds ?? null,
    lastCommitAt: lastCommitAt ?? null,
    failed: checks.filter((check) => !check.ok).map(({ name }) => name),
  };
}
