/** `walhold restore`: plan, then bytes, then the settings with which a server recovers. */
import { WalholdError } from '../base/errors.ts';
import { readKnownDrills } from '../repository/drill-records.ts';
import { lacksOf } from '../repository/repository-lacks.ts';
import { nameOf } from '../repository/restore-way.ts';
import { describeTarget } from '../repository/recovery-target.ts';
import type { NoPlan, RestorePlan } from '../repository/restore-plan.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';
import { warnOfUnread } from './repository-failures.ts';
import { chooseDatabases } from './restore/chosen-databases.ts';
import { deltaCounts, deltaLines, doneJson, type DeltaCounts } from './restore/delta-counts.ts';
import { estimateLine, estimateOf, type EstimateJson } from './restore/estimate.ts';
import { fillTarget } from './restore/fill-target.ts';
import { openBackup, type RestoreHost } from './restore/open-backup.ts';
import { bytesOf, nearestText, planJson, planLines, walBytes, type RestorableBackup } from './restore/plan-report.ts';
import { readPlan, type ReadPlan } from './restore/read-plan.ts';
import type { RestoreOptions } from './restore/restore-options.ts';
import { sealUse } from './seal-use.ts';
import { withRepositories } from './with-repositories.ts';

/** Restores, or only plans (`dryRun`). Throws where the target cannot be reached, before anything is written. */
export async function restore(
  context: CommandContext,
  options: RestoreOptions,
  host: RestoreHost,
): Promise<CommandOutcome> {
  return await withRepositories(context, async (repositories): Promise<CommandOutcome> => {
    const { signal, config, log } = context;
    const found = await readPlan(repositories, options, { signal, jobs: config.jobs, log, seals: sealUse(context) });
    const { plan } = found;
    const estimate = options.dryRun && plan.reachable ? await readEstimate(context, plan, found) : null;
    const print = (more: object): void => {
      const json = { ...planJson(plan, found.inventory, estimate), ...more };
      if (options.json) context.print(`${JSON.stringify(json, undefined, 2)}\n`);
    };
    if (!plan.reachable) {
      print({});
      throw notReachable(plan, options);
    }
    chooseDatabases(plan.backup.summary, options.onlyDatabases);
    sayPlan(context, options, plan, found);
    if (options.dryRun && !options.json) context.print(`${estimateLine(estimate)}\n`);
    if (options.dryRun) print(await compareOnly(context, options, host, plan, found));
    else print(doneJson(await fillTarget(context, options, host, plan, found)));
    return 'done';
  });
}

async function readEstimate(
  { signal, clock, log }: CommandContext,
  plan: RestorePlan<RestorableBackup>,
  { overview: { repositories, systemId }, inventory }: ReadPlan,
): Promise<EstimateJson | null> {
  const drills = await readKnownDrills(repositories, { signal, systemId, now: clock.now() });
  warnOfUnread(log, drills.failures);
  return estimateOf(drills, { bytes: bytesOf(plan.backup, 'sizeBytes'), walBytes: walBytes(plan, inventory) });
}

/** What `--delta` would do; empty without it, and where there is nothing to be kept. */
async function compareOnly(
  context: CommandContext,
  options: RestoreOptions,
  host: RestoreHost,
  plan: RestorePlan<RestorableBackup>,
  found: ReadPlan,
): Promise<{ delta?: DeltaCounts }> {
  if (!options.delta) return {};
  const { opened, survey } = await openBackup(context, options, host, plan, found);
  const counts = deltaCounts(opened, survey);
  if (!options.json) context.print(`${deltaLines(counts, 'would be').join('\n')}\n`);
  return counts === undefined ? {} : { delta: counts };
}

function sayPlan(
  { print, log }: CommandContext,
  options: RestoreOptions,
  plan: RestorePlan<RestorableBackup>,
  { inventory, overview }: ReadPlan,
): void {
  const lines = planLines(plan, options, inventory);
  if (options.dryRun && !options.json) print(`${lines.join('\n')}\n`);
  if (!options.dryRun) for (const line of lines) log.info(line);
  for (const { level, text } of plan.remarks) {
    if (level === 'warning') log.warning(text);
    else log.info(text);
  }
  for (const { number, url } of overview.repositories) {
    const lacks = lacksOf(number, plan.legs, plan.walTo.segno, inventory);
    if (lacks === undefined || (plan.partial !== undefined && lacks.first.segno === plan.walTo.segno)) continue;
    const first = nameOf(lacks.first, inventory);
    log.warning(`repository ${number} (${url}) lacks ${lacks.count} of these segments, the first is ${first}`);
  }
}

/** What a plan that leads nowhere is to whoever asked for it. */
export function notReachable(plan: NoPlan, options: Pick<RestoreOptions, 'target'>): WalholdError {
  const hints = [nearestText(plan), plan.hint].filter((hint) => hint !== undefined);
  return new WalholdError('refused', `could not plan a recovery to ${describeTarget(options.target)}`, {
    detail: plan.why,
    ...(hints.length === 0 ? {} : { hint: hints.join(' ') }),
  });
}
