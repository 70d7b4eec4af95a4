import { formatBytes } from '../format-bytes.ts';
import type { BackupId } from '../../repository/layout.ts';
import { pathKey } from '../../postgres/path-key.ts';
import { releaseHeapBeyond } from '../../base/release-memory.ts';
import { walkData, type DataDirectory } from '../../server/walk-data.ts';
import { BadPages } from './bad-pages.ts';
import type { BackupRun } from './backup-run.ts';
import { copyAll, type CopyThreads } from './copy-pool.ts';
import type { Increment } from './find-changes.ts';
import { incrementInput, planFiles } from './plan-files.ts';
import { planUnits, type SizedUnit } from './plan-units.ts';
import type { CopiedParts } from './record-of.ts';
import type { ThreadInput } from './thread-protocol.ts';

/** What is copied, and where to. */
export interface CopyTask {
  copied: CopiedParts;
  /** `undefined`: of every file the whole. */
  increment: Increment | undefined;
}

export interface CopyOptions {
  /** Bytes a second; `undefined`: as fast as it goes. */
  maxRate: number | undefined;
  /** Most tries of one request. */
  tries: number;
  /** Started already; `undefined`: they are not. */
  threads?: CopyThreads;
  /** OIDs of those that there were when the backup started; what is made later comes with the WAL. */
  tablespaces: ReadonlySet<string>;
}

/** A cluster of fifty thousand files takes as much. */
const LARGE_HEAP_BYTES = 64 * 1024 * 1024;

/** Copies everything but `pg_control` into `copied`, with `jobs` threads. What is in it already is passed over. */
export async function copyData(
  run: BackupRun,
  id: BackupId,
  { copied, increment, ...options }: CopyOptions & CopyTask,
): Promise<{ tablespaces: DataDirectory['tablespaces']; badPages: BadPages }> {
  const { units, walked } = await planCopy(run, { copied, increment, tablespaces: options.tablespaces });
  releaseHeapBeyond(LARGE_HEAP_BYTES);
  const badPages = new BadPages();
  const parts = await copyAll({
    input: threadInput(run, id, { ...options, increment }),
    jobs: run.context.config.jobs,
    threads: options.threads,
    units,
    signal: run.signal,
    copied(unit) {
      copied.addUnit(unit);
      badPages.add(unit.badPages);
    },
  });
  copied.parts.push(...parts);
  releaseHeapBeyond(LARGE_HEAP_BYTES);
  return { tablespaces: walked, badPages };
}

/** What there is to copy. Nothing else remembers the files: there may be millions. */
async function planCopy(
  { context, source, counters, signal, progress }: BackupRun,
  { copied, increment, tablespaces }: CopyTask & Pick<CopyOptions, 'tablespaces'>,
): Promise<{ units: SizedUnit[]; walked: DataDirectory['tablespaces'] }> {
  const { log } = context;
  const versionDirectory = `PG_${source.facts.major}_${source.control.catalogVersion}`;
  const found = await walkData(source.dataDirectory, { versionDirectory, tablespaces, signal });
  for (const path of found.special.slice(0, 20)) {
    log.warning(`left out of the backup: ${path.toString()}, which is neither a file nor a directory`);
  }
  const already = copied.files();
  const files = found.files.filter(({ path }) => !already.has(pathKey(path)));
  const directories = found.directories.filter((path) => !copied.directories.has(pathKey(path)));
  const plan = planFiles(files, increment, source.control.blockBytes);
  const totalBytes = [...plan.files, ...plan.changes].reduce((sum, { bytes }) => sum + bytes, 0);
  log.info(`copying ${formatBytes(totalBytes)} in ${files.length} files`);
  progress.phase('copying', { done: () => counters.bytes, total: totalBytes });
  return { units: planUnits({ ...plan, directories }), walked: found.tablespaces };
}

function threadInput(
  run: BackupRun,
  id: BackupId,
  { maxRate, tries, increment }: Pick<CopyOptions, 'maxRate' | 'tries'> & Pick<CopyTask, 'increment'>,
): ThreadInput {
  const { context, source, repositories, counters } = run;
  const { blockBytes, blocksPerFile, dataChecksumVersion, systemId } = source.control;
  return {
    dataDirectory: source.dataDirectory,
    repositories: repositories.map(({ settings, lock }) => ({ settings, lock })),
    requestTimeoutMs: context.config.requestTimeoutMs,
    tries,
    level: context.config.compressLevel,
    backupId: id,
    systemId: String(systemId),
    by: context.by,
    pages: dataChecksumVersion === 0 ? undefined : { pageBytes: blockBytes, blocksPerFile },
    increment: increment === undefined ? undefined : incrementInput(increment, blockBytes),
    partBytes: context.config.partBytes,
    maxRate,
    counters: counters.memory,
  };
}
