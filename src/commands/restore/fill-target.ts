import { join } from 'node:path';
import { reasonOf, WalholdError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { historyName } from '../../postgres/wal-name.ts';
import type { BackupRecord } from '../../repository/backup-record.ts';
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
import { deltaCounts, deltaLines, type DeltaCounts } from './delta-counts.ts';
import { finishJoin } from './finish-join.ts';
import { JoinedFiles, type JoinedFile } from './joined-files.ts';
import { clearForDelta, settleKept } from './keep-files.ts';
import { openBackup, sourceOf, type RestoreHost } from './open-backup.ts';
import type { OpenedChain } from './open-chain.ts';
import { completeTarget, openTarget } from './finish-target.ts';
import { sayNext } from './next-steps.ts';
import { CONFIG_FOLDER, layDownConfig } from './outside-config.ts';
import { placePartial } from './place-partial.ts';
import type { RestorableBackup } from './plan-report.ts';
import { HELD_BACK, prepareDelta, prepareTarget, type Target } from './prepare-target.ts';
import type { ReadPlan } from './read-plan.ts';
import type { RecoveryConf } from './recovery-conf.ts';
import { restoreCommandLine } from './restore-command-line.ts';
import { RestoreCounters } from './restore-counters.ts';
import { restoreAll } from './restore-pool.ts';
import type { RestoreOptions } from './restore-options.ts';

/** Carries out a plan. When it returns, a server can be started in the directory; if it throws, none can. */
export async function fillTarget(
  context: CommandContext,
  options: RestoreOptions,
  host: RestoreHost,
  plan: RestorePlan<RestorableBackup>,
  found: ReadPlan,
): Promise<Restored> {
  const { log, clock } = context;
  const begun = clock.now();
  const source = sourceOf(context, plan.backup, found);
  const conf = confOf(context, options, plan, found);
  const { opened, delta, survey, databases, dataDirectory } = await openBackup(context, options, host, plan, found);
  const { record, needs } = opened;
  const readFirst = (): ReturnType<typeof readFirstEntry> => readFirstEntry(source, record);
  const { mappings } = options;
  const input = { record, needs, dataDirectory, mappings, readFirstEntry: readFirst, ...host };
  const target = delta === undefined ? await prepareTarget(input) : await prepareDelta(input, delta, survey?.freed);
  try {
    if (delta !== undefined && survey !== undefined) await clearForDelta(context, delta, target, survey);
    const work = { target, opened, plan, found, replaces: delta !== undefined };
    const groupReads = opened.selection !== undefined && ((await readFirst()).mode & 0o040) !== 0;
    const { joined, storedBytes } = await writeFiles(context, options, { ...work, groupReads });
    await settleKept(context, target, { files: opened.selection?.kept ?? [], groupReads });
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
    const counts = deltaCounts(opened, survey);
    if (counts !== undefined)
      log.info(`${deltaLines(counts, 'were').join(', ')}; ${formatBytes(storedBytes)} were read`);
    sayNext(context, options, { record, target, conf, configFiles, others: databases?.others ?? [] });
    return { storedBytes, counts };
  } catch (error) {
    log.warning(`${dataDirectory} is incomplete, and no server can start on it`, {
      hint: 'Run the same again with --delta, which goes on from what lies there; or remove its contents first.',
    });
    throw error;
  }
}

/** What a restore came to. */
export interface Restored {
  /** Read from repositories, WAL not counted. */
  storedBytes: number;
  /** `undefined`: into an empty directory. */
  counts: DeltaCounts | undefined;
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
  /** Files that lie in the target are replaced. */
  replaces: boolean;
  /** The cluster's group may read its files. */
  groupReads: boolean;
}

async function writeFiles(
  context: CommandContext,
  options: RestoreOptions,
  { target, opened, plan, found, replaces, groupReads }: Writing,
): Promise<{ joined: ReadonlyMap<string, JoinedFile>; storedBytes: number }> {
  const joined = new JoinedFiles();
  const { chain } = plan.backup;
  const { blockBytes, blocksPerFile } = opened.record.server;
  const { config, clock, log, signal, asOf } = context;
  const counters = new RestoreCounters();
  const holders = Object.fromEntries(chain.map(({ summary, repositories }) => [summary.id, repositories]));
  const numbers = new Set(chain.flatMap(({ repositories }) => repositories));
  await using progress = new Progress(viewsOf(options.progress), clock);
  progress.phase('restoring', { done: () => counters.plainBytes, total: opened.plainBytes });
  await restoreAll({
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
        replaces,
      },
      counters: counters.memory,
    },
    threads: Math.max(1, Math.min(config.jobs, opened.mostPieces)),
    links: opened.links(joined),
    joined,
    blanks: { files: opened.selection?.blanks ?? [], mode: groupReads ? 0o640 : 0o600 },
    signal,
    warn: (message, error) => log.warning(message, { detail: reasonOf(error) }),
    onStranger(number, stranger) {
      found.overview.repositories.find((one) => one.number === number)?.store.report?.(stranger);
    },
    onWritten: () => progress.phase('bringing files to disk'),
  });
  return { joined: joined.complete, storedBytes: counters.storedBytes };
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
  const { dataChecksums, walLogHints } = plan.backup.summary.server;
  const invalidPagesIgnored = options.onlyDatabases.length > 0 && !dataChecksums && !walLogHints;
  const switches = { archiveOff, prefetchOff, invalidPagesIgnored };
  return { target, exclusive, action, standby, ...switches, restoreCommand, timeline };
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
