/** `walhold backup`: a base backup by PostgreSQL's low-level API, into every repository. */
import { accountNames } from '../base/account-names.ts';
import { VERSION } from '../base/version.ts';
import { formatBackupRecord } from '../repository/backup-record-format.ts';
import { CHANGE_SOURCE_SETTING } from '../repository/incremental-parent.ts';
import { commitKey, type BackupId } from '../repository/layout.ts';
import { closeRepositories, openRepositories } from '../repository/repository.ts';
import { FrameWriter } from '../stream/zstd.ts';
import { awaitWal, type WalOptions } from './backup/await-wal.ts';
import { hostOf, type BackupRun } from './backup/backup-run.ts';
import { orFull, type BackupType } from './backup/backup-type.ts';
import { openBackupSource, type SourceOptions } from './backup/backup-source.ts';
import { CopyThreads } from './backup/copy-pool.ts';
import { copyLive, startLive, type LiveCopy, type LiveOptions } from './backup/copy-live.ts';
import { createInAll } from './backup/create-in-all.ts';
import { findChanges } from './backup/find-changes.ts';
import { findBasis, type IncrementalBasis } from './backup/incremental-basis.ts';
import { storeLastPart } from './backup/last-part.ts';
import { keepUntil, tellOfParents, withLongerLocks, type Keep } from './backup/keep.ts';
import { openBackupSpool, prepareRepositories } from './backup/prepare-repositories.ts';
import { serverRecord } from './backup/record-of.ts';
import { SharedCounters } from './backup/shared-counters.ts';
import { firstAttempt, nextAttempt, type Attempt } from './backup/resume/attempt.ts';
import { findResumable } from './backup/resume/find-resumable.ts';
import { storeManifest } from './backup/store-manifest.ts';
import type { StartedBackup } from '../server/backup-mode.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';
import { formatBytes } from './format-bytes.ts';
import { sealStoredWal } from './seal-stored-wal.ts';
import { ProgressNotes } from './progress/note-progress.ts';
import { Progress } from './progress/progress.ts';
import { viewsOf, type ProgressOutput } from './progress/views.ts';

export interface BackupOptions extends SourceOptions, WalOptions, Omit<LiveOptions, 'tries' | 'threads'> {
  type: BackupType;
  /** `--resume`: goes on with an interrupted backup, where there is one that can be. */
  resume: boolean;
  progress: ProgressOutput | undefined;
  /** This process. */
  pid: number;
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
  await using threads = new CopyThreads(config.jobs);
  const repositories = await openRepositories(withLongerLocks(config, options.keep), {
    clock,
    random,
    log,
    tries: TRIES,
  });
  try {
    const frames = new FrameWriter(config.compressLevel);
    const counters = new SharedCounters();
    const parts = { context, source, repositories, counters, frames, names: accountNames(), signal };
    const spool = await openBackupSpool(context, source.dataDirectory);
    await prepareRepositories(parts, spool);
    await using notes = new ProgressNotes(spool, options.pid, clock);
    await using progress = new Progress([...viewsOf(options.progress), notes.view], clock);
    const id = await takeBackup({ ...parts, progress }, { ...options, threads }, notes);
    context.print(`${id}\n`);
    const { systemId, segmentBytes } = source.control;
    await sealStoredWal(context, repositories, { systemId, segmentBytes });
    return 'done';
  } finally {
    await closeRepositories(repositories);
  }
}

async function takeBackup(
  run: BackupRun,
  options: BackupOptions & { threads: CopyThreads },
  notes: ProgressNotes,
): Promise<BackupId> {
  const { context, source } = run;
  const resumable = options.resume ? await findResumable(run, options.type) : undefined;
  const basis = resumable === undefined ? await basisFor(run, options) : undefined;
  const start = await startLive(run, { ...options, tries: TRIES });
  const { started } = start;
  const attempt =
    resumable === undefined
      ? await newAttempt(run, started, basis, options)
      : ((await nextAttempt(run, resumable, started, options)) ??
        (await newAttempt(run, started, await basisFor(run, options), options)));
  const { id, copied, increment } = attempt;
  const parent = increment?.parent;
  notes.id = id;
  const live = await copyLive(run, id, { ...options, ...start, tries: TRIES, copied, increment });
  await source.session.close();

  const walRequired = await awaitWal(run, { attempt, live, options });
  run.progress.phase('finishing');
  copied.add(await storeLastPart(run, id, { ...live, parent, resumed: attempt.resumed?.start }));
  const range = { timeline: live.timeline, startLsn: attempt.started.startLsn, endLsn: live.stopped.stopLsn };
  const manifest = await storeManifest(run, id, { frames: copied.frames, range });
  const { config } = attempt;
  const record = formatBackupRecord({
    ...describe(run, { attempt, live, options }),
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
  if (options.keep !== undefined && parent !== undefined)
    tellOfParents(context.log, context.config, options.keep, parent.id);
  return id;
}

/** `undefined`: it will be a full backup. */
async function basisFor(run: BackupRun, { type }: BackupOptions): Promise<IncrementalBasis | undefined> {
  return type === 'full' ? undefined : orFull(await findBasis(run), type, run.context.log);
}

async function newAttempt(
  run: BackupRun,
  started: StartedBackup,
  basis: IncrementalBasis | undefined,
  { type }: BackupOptions,
): Promise<Attempt> {
  const found = basis === undefined ? undefined : await findChanges(run, basis, started.startLsn);
  return await firstAttempt(run, started, found === undefined ? undefined : orFull(found, type, run.context.log));
}

interface TakenBackup {
  attempt: Attempt;
  live: LiveCopy;
  options: BackupOptions;
}

type Later = 'walRequired' | 'manifest' | 'config' | 'storedBytes';

function describe(
  { context, source }: BackupRun,
  { attempt, live, options }: TakenBackup,
): Omit<Parameters<typeof formatBackupRecord>[0], Later> {
  const { stopped, timeline, tablespaces, databases, badPages } = live;
  const { id, copied, started, increment, resumed } = attempt;
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
    databases,
    tablespaces,
    badPages: badPages.list,
    badPageCount: badPages.count,
    sizeBytes: copied.sizeBytes,
    tool: `walhold ${VERSION}`,
    host: hostOf(context.by),
    settings: {
      compress_level: String(context.config.compressLevel),
      jobs: String(context.config.jobs),
      ...(increment === undefined ? {} : { [CHANGE_SOURCE_SETTING]: increment.source }),
      ...(resumed === undefined
        ? {}
        : { attempts: String(resumed.from.attempt), resumed_parts: String(resumed.from.parts.length) }),
    },
    parts: copied.records(),
  };
}
