/** `walhold backup`: a base backup by PostgreSQL's low-level API, into every repository. */
import { accountNames } from '../base/account-names.ts';
import { VERSION } from '../base/version.ts';
import { formatBackupRecord } from '../repository/backup-record-format.ts';
import { historyName } from '../postgres/wal-name.ts';
import { commitKey, type BackupId } from '../repository/layout.ts';
import { closeRepositories, openRepositories } from '../repository/repository.ts';
import { segmentsBetween } from '../repository/required-wal.ts';
import { FrameWriter } from '../stream/zstd.ts';
import { waitForSegments } from './backup/archive-watch.ts';
import type { BackupRun } from './backup/backup-run.ts';
import { openBackupSource, type SourceOptions } from './backup/backup-source.ts';
import { claimId } from './backup/claim-id.ts';
import { copyLive, type LiveCopy, type LiveOptions } from './backup/copy-live.ts';
import { createInAll } from './backup/create-in-all.ts';
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

export interface BackupOptions extends SourceOptions, Omit<LiveOptions, 'tries'> {
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
    return 'done';
  } finally {
    await closeRepositories(repositories);
  }
}

async function takeBackup(run: BackupRun, options: BackupOptions): Promise<BackupId> {
  const { context, source } = run;
  const copied = new CopiedParts();
  const { id, ...claim } = await claimId(run);
  copied.add(claim);
  const config = await storeConfig(run, id);
  const live = await copyLive(run, id, { ...options, tries: TRIES, copied });
  await source.session.close();

  copied.add(await storeLastPart(run, id, live));
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
    ...describe(run, id, { copied, live, options }),
    walRequired,
    manifest,
    config,
    storedBytes: copied.storedBytes + manifest.storedBytes + (config?.storedBytes ?? 0),
  });
  await createInAll(run, commitKey(id), record);
  context.log.info(
    `stored backup ${id}: ${formatBytes(copied.sizeBytes)}, stored as ${formatBytes(copied.storedBytes)}`,
  );
  return id;
}

type Later = 'walRequired' | 'manifest' | 'config' | 'storedBytes';

function describe(
  { context, source }: BackupRun,
  id: BackupId,
  { copied, live, options }: { copied: CopiedParts; live: LiveCopy; options: BackupOptions },
): Omit<Parameters<typeof formatBackupRecord>[0], Later> {
  const { started, stopped, timeline, tablespaces, badPages } = live;
  return {
    id,
    type: 'full',
    parent: undefined,
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
    settings: { compress_level: String(context.config.compressLevel), jobs: String(context.config.jobs) },
    parts: copied.records(),
  };
}
