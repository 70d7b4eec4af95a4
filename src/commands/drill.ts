/** `walhold drill`: a recovery for practice, in a directory of its own, which tells whether it works, how long it takes, what is lost. */
import { reasonOf, WalholdError } from '../base/errors.ts';
import type { DrillRecord } from '../repository/drill-record.ts';
import { storeDrill } from '../repository/drill-records.ts';
import { describeTarget } from '../repository/recovery-target.ts';
import type { Repository } from '../repository/repository.ts';
import type { RestorePlan } from '../repository/restore-plan.ts';
import { clearLeftScratch } from '../server/left-scratch.ts';
import { findPostgresPrograms } from '../server/postgres-programs.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';
import type { DrillOptions } from './drill/drill-options.ts';
import { describeDrill, drillJson, drillRecord } from './drill/drill-report.ts';
import { rehearse, type Findings } from './drill/rehearse.ts';
import { homeOf, requireParent, Scratch } from './drill/scratch.ts';
import { serverAccount, type ServerAccount } from './drill/server-account.ts';
import { summaryOf } from './drills-json.ts';
import { rememberDrill } from './metrics/keep-metrics.ts';
import { notReachable } from './restore.ts';
import { readFirstEntry, readWholeRecord, type BackupSource } from './restore/backup-source.ts';
import type { RestoreHost } from './restore/open-backup.ts';
import { bytesOf, planLines, walBytes, type RestorableBackup } from './restore/plan-report.ts';
import { readPlan, type ReadPlan } from './restore/read-plan.ts';
import { sealUse } from './seal-use.ts';
import { withRepositories } from './with-repositories.ts';

export interface DrillHost extends RestoreHost {
  /** Of this process. */
  pid: number;
}

/** A fault when anything that was found is wrong. What keeps the drill from being held is an error. */
export async function drill(context: CommandContext, options: DrillOptions, host: DrillHost): Promise<CommandOutcome> {
  return await withRepositories(context, async (repositories): Promise<CommandOutcome> => {
    const { signal, config, log, clock, print } = context;
    await requireParent(options.scratchParent);
    const begun = clock.now();
    const found = await readPlan(repositories, options.restore, {
      signal,
      jobs: config.jobs,
      log,
      seals: sealUse(context),
    });
    const { plan, inventory } = found;
    if (!plan.reachable) throw notReachable(plan, options.restore);
    for (const line of planLines(plan, options.restore, inventory)) log.info(line);
    for (const { level, text } of plan.remarks) {
      if (level === 'warning') log.warning(text);
      else log.info(text);
    }
    const findings = await hold(context, options, { host, plan, found, begun });
    const json = drillJson(plan.backup.summary.id, begun, findings);
    const target = describeTarget(options.restore.target);
    const record = drillRecord(json, {
      systemId: found.overview.systemId,
      at: new Date(begun),
      by: context.by,
      backup: plan.backup.summary.id,
      target,
      bytes: bytesOf(plan.backup, 'sizeBytes'),
      walBytes: walBytes(plan, inventory),
    });
    await storeEverywhere(context, repositories, record);
    await rememberDrill(context, summaryOf(record));
    print(options.json ? `${JSON.stringify(json, undefined, 2)}\n` : describeDrill(json, target));
    return json.ok ? 'done' : 'fault';
  });
}

interface Held {
  host: DrillHost;
  plan: RestorePlan<RestorableBackup>;
  found: ReadPlan;
  begun: number;
}

async function hold(context: CommandContext, options: DrillOptions, held: Held): Promise<Findings> {
  const { signal, log, clock, environment } = context;
  const { host, plan, found } = held;
  const programs = await findPostgresPrograms({
    major: plan.backup.summary.server.major,
    folder: options.programs,
    path: environment['PATH'],
    signal,
  });
  const source: BackupSource = {
    repositories: found.overview.repositories.filter(({ number }) => plan.backup.repositories.includes(number)),
    signal,
    warn: ({ repository, error }, object) =>
      log.warning(`${repository.url}/${object} is read from elsewhere`, { detail: reasonOf(error) }),
  };
  const record = await readWholeRecord(source, plan.backup.summary);
  const owner = serverAccount(host.uid, await readFirstEntry(source, record));
  await clearLeft(context, options, owner, host);
  await using scratch = await Scratch.make({
    parent: options.scratchParent,
    account: owner.account,
    environment: await serverEnvironment(environment, owner),
    keep: options.keepDirectory,
    clock,
    pid: host.pid,
  });
  if (options.keepDirectory) log.info(`the scratch directory ${scratch.path} is kept`);
  return await rehearse(context, options, { ...held, record, scratch, owner, programs });
}

async function clearLeft(
  { log, clock, signal }: CommandContext,
  { scratchParent }: DrillOptions,
  { account }: ServerAccount,
  { uid }: DrillHost,
): Promise<void> {
  for (const path of await clearLeftScratch(scratchParent, { account, uid, clock, signal })) {
    log.warning(`an earlier drill had left ${path}: it is cleared away`);
  }
}

/** Root's home is not the account's, where its programs look for credentials. */
async function serverEnvironment(
  environment: CommandContext['environment'],
  { account }: ServerAccount,
): Promise<CommandContext['environment']> {
  return account === undefined ? environment : { ...environment, HOME: await homeOf(account) };
}

/** Credentials that only read are no fault: the drill was held all the same. */
async function storeEverywhere(
  { log, signal, asOf }: CommandContext,
  repositories: readonly Repository[],
  result: DrillRecord,
): Promise<void> {
  if (asOf !== undefined) return log.info('the result is not stored: it is about what was stored in the past');
  for (const repository of repositories) {
    const at = new Date(result.at.getTime() + (repository.store.clockSkewMs?.() ?? 0));
    const record = { ...result, at };
    try {
      const key = await storeDrill(repository, record, { signal });
      log.debug(`stored the result as ${key} in ${repository.url}`);
    } catch (error) {
      signal.throwIfAborted();
      const { detail } = error instanceof WalholdError ? error : { detail: undefined };
      log.warning(`could not store the result in ${repository.url}: ${reasonOf(error)}`, {
        detail,
        hint: '"walhold list" and "walhold status" will not know of this drill; to store it takes the right to create drill/*.',
      });
    }
  }
}
