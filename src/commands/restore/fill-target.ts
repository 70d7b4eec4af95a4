import { join } from 'node:path';
import { reasonOf, WalholdError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { historyName } from '../../postgres/wal-name.ts';
import type { BackupRecord } from '../../repository/backup-record.ts';
import type { StoredBackup } from '../../repository/backups.ts';
import type { RestorePlan } from '../../repository/restore-plan.ts';
import { nameOf } from '../../repository/restore-way.ts';
import type { WalInventory } from '../../repository/wal-inventory.ts';
import type { CommandContext } from '../command-context.ts';
import { formatBytes } from '../format-bytes.ts';
import { Progress } from '../progress/progress.ts';
import { viewsOf } from '../progress/views.ts';
import { installedExecutable } from '../installation.ts';
import { chooseArchiveMode } from './archive-choice.ts';
import { readConfigArchive, readFirstEntry, type BackupSource } from './backup-source.ts';
import { finishJoin } from './finish-join.ts';
import type { JoinedFile } from './joined-files.ts';
import { openChain, type OpenedChain } from './open-chain.ts';
import { completeTarget, openTarget } from './finish-target.ts';
import { sayNext } from './next-steps.ts';
import { CONFIG_FOLDER, layDownConfig } from './outside-config.ts';
import { placePartial } from './place-partial.ts';
import type { RestorableBackup } from './plan-report.ts';
import { HELD_BACK, prepareTarget, type Target } from './prepare-target.ts';
import type { ReadPlan } from './read-plan.ts';
import type { RecoveryConf } from './recovery-conf.ts';
import { restoreCommandLine } from './restore-command-line.ts';
import { RestoreCounters } from './restore-counters.ts';
import { restoreAll } from './restore-pool.ts';
import type { RestoreOptions } from './restore-options.ts';

/** What only the process itself knows. */
export interface RestoreHost {
  uid: number;
  isAlive: (pid: number) => boolean;
}

/** Carries out a plan. When it returns, a server can be started in the directory; if it throws, none can. */
export async function fillTarget(
  context: CommandContext,
  options: RestoreOptions,
  host: RestoreHost,
  plan: RestorePlan<RestorableBackup>,
  found: ReadPlan,
): Promise<void> {
  const { log, clock } = context;
  const { dataDirectory } = options;
  if (dataDirectory === undefined) throw new WalholdError('usage', 'no directory to restore into is given');
  const begun = clock.now();
  const source = sourceOf(context, plan.backup, found);
  const conf = confOf(context, options, plan, found);
  const opened = await openChain({
    chain: plan.backup.chain,
    sourceOf: (link) => sourceOf(context, link, found),
    jobs: context.config.jobs,
  });
  const { record, needs } = opened;
  const readFirst = (): ReturnType<typeof readFirstEntry> => readFirstEntry(source, record);
  const { mappings } = options;
  const target = await prepareTarget({ record, needs, dataDirectory, mappings, readFirstEntry: readFirst, ...host });
  try {
    const joined = await writeFiles(context, options, { target, opened, plan, found });
    const manifestBytes = await finishJoin(target, opened, joined);
    const configFiles = await placeConfig(context, options, { source, record, target });
    await completeTarget(target, record, manifestBytes, { ...conf, configFiles });
    await placePartialOf(source, plan, found, target);
    context.signal.throwIfAborted();
    await openTarget(target, record);
    const seconds = Math.max(0.001, (clock.now() - begun) / 1000);
    const rate = `${formatBytes(record.sizeBytes / seconds)}/s`;
    log.info(
      `restored backup ${record.id} into ${dataDirectory}: ${formatBytes(record.sizeBytes)} in ${seconds.toFixed(1)} s (${rate})`,
    );
    sayNext(context, options, { record, target, conf, configFiles });
  } catch (error) {
    log.warning(`${dataDirectory} is incomplete, and no server can start on it`, {
      hint: 'Remove its contents before you restore into it again.',
    });
    throw error;
  }
}

interface Work {
  source: BackupSource;
  record: BackupRecord;
  target: Target;
}

interface Writing {
  target: Target;
  opened: OpenedChain;
  plan: RestorePlan<RestorableBackup>;
  found: ReadPlan;
}

async function writeFiles(
  context: CommandContext,
  options: RestoreOptions,
  { target, opened, plan, found }: Writing,
): Promise<ReadonlyMap<string, JoinedFile>> {
  const { chain } = plan.backup;
  const { blockBytes, blocksPerFile } = opened.record.server;
  const { config, clock, log, signal, asOf } = context;
  const counters = new RestoreCounters();
  const holders = Object.fromEntries(chain.map(({ summary, repositories }) => [summary.id, repositories]));
  const numbers = new Set(chain.flatMap(({ repositories }) => repositories));
  await using progress = new Progress(viewsOf(options.progress), clock);
  progress.phase('restoring', { done: () => counters.plainBytes, total: opened.plainBytes });
  return await restoreAll({
    input: {
      repositories: config.repositories.filter(({ number }) => numbers.has(number)),
      requestTimeoutMs: config.requestTimeoutMs,
      asOf: asOf?.at,
      holders,
      layout: {
        dataDirectory: target.dataDirectory,
        tablespaces: target.tablespaces.map(({ oid, to }) => ({ oid, path: to })),
        owner: target.owner,
        blocks: { blockBytes, blocksPerFile },
        heldBack: HELD_BACK,
      },
      counters: counters.memory,
    },
    threads: Math.max(1, Math.min(config.jobs, opened.mostPieces)),
    links: opened.links(),
    signal,
    warn: (message, error) => log.warning(message, { detail: reasonOf(error) }),
    onStranger(number, stranger) {
      found.overview.repositories.find((one) => one.number === number)?.store.report?.(stranger);
    },
    onWritten: () => progress.phase('bringing files to disk'),
  });
}

async function placePartialOf(
  source: BackupSource,
  plan: RestorePlan<RestorableBackup>,
  { overview, inventory }: ReadPlan,
  { dataDirectory, owner }: Target,
): Promise<void> {
  if (plan.partial === undefined) return;
  const segment = nameOf(plan.walTo, inventory);
  const { segmentBytes } = inventory;
  const { systemId, repositories } = overview;
  const from = { ...source, repositories };
  await placePartial(from, { partial: plan.partial, segment, segmentBytes, systemId, dataDirectory, owner });
}

/** The directory that holds the configuration from outside; `undefined`: there was none. */
async function placeConfig(
  { log }: CommandContext,
  options: RestoreOptions,
  { source, record, target }: Work,
): Promise<string | undefined> {
  const archive = await readConfigArchive(source, record);
  if (archive === undefined || record.config === undefined) return undefined;
  const directory = options.configDirectory ?? join(target.dataDirectory, CONFIG_FOLDER);
  const { kept } = await layDownConfig(archive, record.config, directory, target.owner);
  for (const path of kept) log.warning(`${path} exists already and stays as it is`);
  return directory;
}

function sourceOf(
  { log, signal }: CommandContext,
  { repositories }: Pick<StoredBackup, 'repositories'>,
  { overview }: ReadPlan,
): BackupSource {
  return {
    repositories: overview.repositories.filter(({ number }) => repositories.includes(number)),
    signal,
    warn: ({ repository, error }, object) =>
      log.warning(`${repository.url}/${object} is read from elsewhere`, { detail: reasonOf(error) }),
  };
}

function confOf(
  { config, clock, log, asOf }: CommandContext,
  options: RestoreOptions,
  plan: RestorePlan<RestorableBackup>,
  { inventory }: ReadPlan,
): RecoveryConf {
  const archive = chooseArchiveMode(options.archiveMode, inventory, { nowMs: clock.now(), asOf });
  log.info(`archive mode: ${archive.mode} (${archive.why})`);
  if (options.standby && archive.mode === 'off') {
    log.warning('this standby will not archive, not even after a promotion', {
      hint: 'With --archive-mode preserve it keeps the settings of the original, as a member that may become the primary must.',
    });
  }
  const restoreCommand = restoreCommandLine({
    fetch: installedExecutable('walhold-fetch'),
    configFile: options.configFile,
    settings: config.effective,
    useRepo: options.useRepo,
    asOf: asOf?.text,
    allowGap: allowedGap(plan, inventory, log),
  });
  const { target, exclusive, action, standby } = options;
  const archiveOff = archive.mode === 'off';
  const prefetchOff = plan.troubleBehind && plan.backup.summary.server.major >= PREFETCH_SINCE;
  if (prefetchOff) log.info('the server is told not to read WAL ahead: behind the target some is missing or damaged');
  const timeline = timelineSetting(options, plan);
  return { target, exclusive, action, standby, archiveOff, prefetchOff, restoreCommand, timeline };
}

/** The major version that knows `recovery_prefetch`. */
const PREFETCH_SINCE = 15;

/**
 * The one file whose absence `walhold-fetch` shall believe. A timeline whose history is nowhere (the cluster was promoted before it
 * came here) is asked for too, and looks like one that was lost.
 */
function allowedGap(plan: RestorePlan<RestorableBackup>, inventory: WalInventory, log: Log): string | undefined {
  const segment = plan.allowGap === undefined ? undefined : nameOf(plan.allowGap, inventory);
  if (plan.hasHistory) return segment;
  const history = historyName(plan.timeline);
  if (segment === undefined) {
    log.warning(`${history} is not stored: where timeline ${plan.timeline} came from is not known`);
    return history;
  }
  throw new WalholdError('hole', `both ${history} and ${segment} are missing, and only one absence can be allowed`, {
    hint: `Give a target before ${segment}.`,
  });
}

/** Without its history file a server does not find a timeline by its number, though the backup is on it. */
function timelineSetting(options: RestoreOptions, plan: RestorePlan<RestorableBackup>): string {
  if (options.followsLatest) return 'latest';
  return plan.hasHistory ? String(plan.timeline) : 'current';
}
