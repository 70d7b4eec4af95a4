/** `walhold drill`: a recovery for practice, in a directory of its own, which tells whether it works, how long it takes, what is lost. */
import { reasonOf } from '../base/errors.ts';
import { parseBackupId } from '../repository/layout.ts';
import { describeTarget } from '../repository/recovery-target.ts';
import type { NoPlan, RestorePlan } from '../repository/restore-plan.ts';
import { clearLeftScratch } from '../server/left-scratch.ts';
import { findPostgresPrograms } from '../server/postgres-programs.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';
import type { DrillOptions } from './drill/drill-options.ts';
import { describeDrill, drillJson } from './drill/drill-report.ts';
import { rememberOutcome } from './drill/remember-outcome.ts';
import { rehearse, unreachable, type Findings } from './drill/rehearse.ts';
import { homeOf, requireParent, Scratch } from './drill/scratch.ts';
import { serverAccount, type ServerAccount } from './drill/server-account.ts';
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

/** A fault when anything that was found is wrong. What keeps the drill from being held is an error, and so is a target that nothing leads to. */
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
    if (!plan.reachable) return await failAtPlan(context, options, { plan, found, begun });
    for (const line of planLines(plan, options.restore, inventory)) log.info(line);
    for (const { level, text } of plan.remarks) {
      if (level === 'warning') log.warning(text);
      else log.info(text);
    }
    const findings = await hold(context, options, { host, plan, found, begun });
    const { id } = plan.backup.summary;
    const json = drillJson(id, begun, findings);
    const { systemId } = found.overview;
    const amounts = { bytes: bytesOf(plan.backup, 'sizeBytes'), walBytes: walBytes(plan, inventory) };
    await rememberOutcome(context, options, repositories, { json, systemId, begun, backup: id, ...amounts });
    const target = describeTarget(options.restore.target);
    print(options.json ? `${JSON.stringify(json, undefined, 2)}\n` : describeDrill(json, target));
    return json.ok ? 'done' : 'fault';
  });
}

/**
 * Where nothing leads to the target no server need be started to know it. That a recovery as in earnest, to the end, is not to be had is
 * remembered; a target that somebody chose can be wrong in itself. Throws why.
 */
async function failAtPlan(
  context: CommandContext,
  options: DrillOptions,
  { plan, found, begun }: { plan: NoPlan; found: ReadPlan; begun: number },
): Promise<never> {
  const { systemId, repositories } = found.overview;
  const backup = plan.tried === undefined ? undefined : parseBackupId(plan.tried);
  const json = drillJson(backup ?? null, begun, unreachable(plan));
  // A repository that did not answer may have what is missing.
  const isCertain = found.overview.failures.length === 0;
  if (options.restore.target.kind === 'end' && backup !== undefined && isCertain) {
    const amounts = { bytes: undefined, walBytes: undefined };
    await rememberOutcome(context, options, repositories, { json, systemId, begun, backup, ...amounts });
  }
  if (options.json) context.print(`${JSON.stringify(json, undefined, 2)}\n`);
  throw notReachable(plan, options.restore);
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
