/** `walhold backup`: a base backup by PostgreSQL's low-level API, into every repository. */
import { accountNames } from '../base/account-names.ts';
import { VERSION } from '../base/version.ts';
import { formatBackupRecord } from '../repository/backup-record-format.ts';
import { historyName } from '../postgres/wal-name.ts';
import { CHANGE_SOURCE_SETTING } from '../repository/incremental-parent.ts';
import { commitKey, type BackupId } from '../repository/layout.ts';
import { closeRepositories, openRepositories } from '../repository/repository.ts';
import { segmentsBetween } from '../repository/required-wal.ts';
import { FrameWriter } from '../stream/zstd.ts';
import { waitForSegments } from './backup/archive-watch.ts';
import type { BackupRun } from './backup/backup-run.ts';
import { orFull, type BackupType } from './backup/backup-type.ts';
import { openBackupSource, type SourceOptions } from './backup/backup-source.ts';
import { claimId } from './backup/claim-id.ts';
import { copyLive, startLive, type LiveCopy, type LiveOptions } from './backup/copy-live.ts';
import { createInAll } from './backup/create-in-all.ts';
import { findChanges, type Increment } from './backup/find-changes.ts';
import { findBasis } from './backup/incremental-basis.ts';
import { storeLastPart } from './backup/last-part.ts';
import { keepUntil, withLongerLocks, type Keep } from './backup/keep.ts';
import { prepareRepositories } from './backup/prepare-repositories.ts';
import { CopiedParts, serverRecord } from './backup/record-of.ts';
import { requireLockedWal } from './backup/require-locked-wal.ts';
import { SharedCounters } from './backup/shared-counters.ts';
import { storeConfig } from './backup/store-config.ts';
import { storeHistory } from './backup/store-history.ts';
import { storeManifest } from './backup/store-manifest.ts';
import { switchOnPrimary } from './backup/switch-on-primary.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';
import { formatBytes } from './format-bytes.ts';
import { sealStoredWal } from './seal-stored-wal.ts';

export interface BackupOptions extends SourceOptions, Omit<LiveOptions, 'tries'> {
  type: BackupType;
  /** `--primary`, of a standby; `undefined`: its `primary_conninfo`. */
  primary: string | undefined;
  /** How long the last WAL may take to arrive. */
  walTimeoutMs: number;
  /** `--keep`; `undefined`: its turn decides. */
  keep: Keep | undefined;
}

/** Tries of one request: a store that is away for a minute or two does not cost the backup. */
const TRIES = 40;

/** Prints the new backup's id. Whatever fails, what was stored by then is named by no `backup.json`, and so is no backup. */
export async function backup(context: CommandContext, options: BackupOptions): Promise<CommandOutcome> {
  const { config, clock, random, log, signal } = context;
  await using source = await openBackupSource(context, options);
  if (source.control.dataChecksumVersion === 0) {
    log.warning('data_checksums is off: damaged pages go into the backup unseen', {
      hint: 'Turn checksums on with pg_checksums while the server is stopped.',
    });
  }
  const repositories = await openRepositories(withLongerLocks(config, options.keep), {
    clock,
    random,
    log,
    tries: TRIES,
  });
  try {
    const frames = new FrameWriter(config.compressLevel);
    const counters = new SharedCounters();
    const run: BackupRun = { context, source, repositories, counters, frames, names: accountNames(), signal };
    await prepareRepositories(run);
    const id = await takeBackup(run, options);
    context.print(`${id}\n`);
    const { systemId, segmentBytes } = source.control;
    await sealStoredWal(context, repositories, { systemId, segmentBytes });
    return 'done';
  } finally {
    await closeRepositories(repositories);
  }
}

async function takeBackup(run: BackupRun, options: BackupOptions): Promise<BackupId> {
  const { context, source } = run;
  const basis = options.type === 'full' ? undefined : orFull(await findBasis(run), options.type, context.log);
  const start = await startLive(run, { ...options, tries: TRIES });
  const increment =
    basis === undefined
      ? undefined
      : orFull(await findChanges(run, basis, start.started.startLsn), options.type, context.log);
  const parent = increment?.parent;
  const copied = new CopiedParts();
  const { id, ...claim } = await claimId(run, parent?.id);
  copied.add(claim);
  context.log.info(parent === undefined ? `taking backup ${id}` : `taking backup ${id}, incremental on ${parent.id}`);
  const config = await storeConfig(run, id);
  const live = await copyLive(run, id, { ...options, ...start, tries: TRIES, copied, increment });
  await source.session.close();

  copied.add(await storeLastPart(run, id, { ...live, parent }));
  const { timeline } = live;
  const { startLsn } = live.started;
  const { stopLsn } = live.stopped;
  const range = { timeline, startLsn, endLsn: stopLsn };
  const manifest = await storeManifest(run, id, { frames: copied.frames, range });
  if (source.facts.inRecovery) await switchOnPrimary(run, options.primary);
  const segments = segmentsBetween(timeline, startLsn, stopLsn, source.control.segmentBytes);
  context.log.info(`waiting for WAL up to ${segments.at(-1) ?? ''}`);
  const archiving = source.facts.inRecovery ? undefined : source.dataDirectory;
  await waitForSegments(segments, options.walTimeoutMs, { ...context, ...run, dataDirectory: archiving });
  await storeHistory(run, timeline);
  const { jobs } = context.config;
  await requireLockedWal(run.repositories, [...segments, historyName(timeline)], { signal: run.signal, jobs });

  const walRequired = { first: segments[0] ?? '', last: segments.at(-1) ?? '' };
  const record = formatBackupRecord({
    ...describe(run, id, { copied, live, options, increment }),
    walRequired,
    manifest,
    config,
    storedBytes: copied.storedBytes + manifest.storedBytes + (config?.storedBytes ?? 0),
  });
  await createInAll(run, commitKey(id), record);
  const { all, copied: changed } = copied.blocks;
  const part = parent === undefined ? '' : `incremental on ${parent.id}, ${changed} of ${all} blocks, `;
  context.log.info(
    `stored backup ${id}: ${part}${formatBytes(copied.sizeBytes)}, stored as ${formatBytes(copied.storedBytes)}`,
  );
  return id;
}

type Later = 'walRequired' | 'manifest' | 'config' | 'storedBytes';

function describe(
  { context, source }: BackupRun,
  id: BackupId,
  {
    copied,
    live,
    options,
    increment,
  }: { copied: CopiedParts; live: LiveCopy; options: BackupOptions; increment: Increment | undefined },
): Omit<Parameters<typeof formatBackupRecord>[0], Later> {
  const { started, stopped, timeline, tablespaces, badPages } = live;
  return {
    id,
    type: increment === undefined ? 'full' : 'incremental',
    parent: increment?.parent.id,
    label: options.label,
    startedAt: started.startedAt,
    stoppedAt: stopped.stoppedAt,
    keepUntil: keepUntil(options.keep, context.clock.now()),
    startLsn: started.startLsn,
    stopLsn: stopped.stopLsn,
    timeline,
    server: serverRecord(source),
    tablespaces,
    badPages: badPages.list,
    badPageCount: badPages.count,
    sizeBytes: copied.sizeBytes,
    tool: `walhold ${VERSION}`,
    host: context.by.slice(context.by.lastIndexOf(' ') + 1),
    settings: {
      compress_level: String(context.config.compressLevel),
      jobs: String(context.config.jobs),
      ...(increment === undefined ? {} : { [CHANGE_SOURCE_SETTING]: increment.source }),
    },
    parts: copied.records(),
  };
}
