/** Fills one repository from another: create-only, in the order in which each thing becomes of use. */
import { hasCode, WalholdError } from '../base/errors.ts';
import { BACKUP_PREFIX, parseBackupId, type BackupId } from '../repository/layout.ts';
import { placeText, type Repository } from '../repository/repository.ts';
import { storedSegmentSize } from '../repository/stored-segment-size.ts';
import type { Problem } from '../repository/verify-problem.ts';
import { isKnownRepository } from '../spool/known-repositories.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';
import { formatBytes } from './format-bytes.ts';
import { openLocalCluster } from './local-cluster.ts';
import { plainText } from './plain-text.ts';
import { Progress } from './progress/progress.ts';
import { viewsOf, type ProgressOutput } from './progress/views.ts';
import { copyBackup } from './repo-copy/copy-backup.ts';
import { copyIdentity, foreseeIdentity } from './repo-copy/copy-identity.ts';
import { CopyReport, type CopyRun } from './repo-copy/copy-run.ts';
import { copyWal } from './repo-copy/copy-wal.ts';
import { withRepositories } from './with-repositories.ts';

/** The shape of `walhold repo copy --json`. With `--dry-run`, `copied` and `bytes` are what would be copied. */
export interface RepoCopyJson {
  copied: number;
  present: number;
  bytes: number;
  conflicts: Problem[];
  damaged: Problem[];
}

export interface RepoCopyOptions {
  /** Numbers of repositories. */
  from: number;
  to: number;
  quick: boolean;
  dryRun: boolean;
  json: boolean;
  progress: ProgressOutput | undefined;
}

/** A fault when something could not be copied. It can be broken off and run again at any time: what is there is not sent twice. */
export async function repoCopy(context: CommandContext, options: RepoCopyOptions): Promise<CommandOutcome> {
  return await withRepositories(context, async (repositories): Promise<CommandOutcome> => {
    const source = numbered(repositories, options.from, '--from');
    const target = numbered(repositories, options.to, '--to');
    if (source === target) {
      throw new WalholdError('usage', '--from and --to name the same repository', { hint: 'Name two different ones.' });
    }
    const report = await copyAll(context, { source, target }, options);
    const { copied, present, bytes, conflicts, damaged } = report;
    const result: RepoCopyJson = { copied, present, bytes, conflicts, damaged };
    context.print(options.json ? `${JSON.stringify(result, undefined, 2)}\n` : describe(result, options));
    return conflicts.length + damaged.length === 0 ? 'done' : 'fault';
  });
}

async function copyAll(
  context: CommandContext,
  repositories: { source: Repository; target: Repository },
  { quick, dryRun, progress }: RepoCopyOptions,
): Promise<CopyReport> {
  const { signal, log, clock, config } = context;
  const { source } = repositories;
  const report = new CopyReport();
  await using shown = new Progress(viewsOf(progress), clock);
  shown.phase('copying', { done: () => report.bytes, more: () => progressText(report) });
  const { spool } = await openLocalCluster('.', context, { useSpool: true });
  const place = placeText(repositories.target.settings);
  const known = ({ systemId }: { systemId: bigint }): Promise<boolean> => isKnownRepository(spool, place, systemId);
  const { identity, target } = dryRun
    ? await foreseeIdentity(source, repositories.target, { signal })
    : {
        identity: await copyIdentity(source, repositories.target, { signal, known }),
        target: repositories.target,
      };
  const { systemId } = identity;
  const run: CopyRun = { source, target, systemId, jobs: config.jobs, quick, dryRun, report, log, signal };
  const segmentBytes = await segmentSizeOf(source, signal);
  await copyWal({ ...run, segmentBytes });
  const done = new Set<BackupId>();
  for (const id of await backupIds(source, signal)) if (await copyBackup(run, id, done)) done.add(id);
  return report;
}

/** `undefined`: nothing says it, or what does is damaged; that is told when its turn comes. */
async function segmentSizeOf(source: Repository, signal: AbortSignal): Promise<number | undefined> {
  try {
    return await storedSegmentSize([source], [], { signal });
  } catch (error) {
    if (hasCode(error, 'damaged')) return undefined;
    throw error;
  }
}

/** Oldest first, so that what an incremental one builds upon is there before it. */
async function backupIds({ store }: Repository, signal: AbortSignal): Promise<BackupId[]> {
  const ids: BackupId[] = [];
  for await (const entry of store.list(BACKUP_PREFIX, { signal, delimited: true })) {
    const id = entry.kind === 'directory' ? parseBackupId(entry.prefix.slice(BACKUP_PREFIX.length, -1)) : undefined;
    if (id !== undefined) ids.push(id);
  }
  return ids;
}

function numbered(repositories: readonly Repository[], number: number, option: string): Repository {
  const found = repositories.find((repository) => repository.number === number);
  if (found !== undefined) return found;
  throw new WalholdError('usage', `${option} names repository ${number}, which is not configured`, {
    hint: `Configured are: ${repositories.map((one) => one.number).join(', ')}.`,
  });
}

function progressText({ copied, present }: CopyReport): string {
  return `${copied} objects copied, ${present} there already`;
}

function describe({ copied, present, bytes, conflicts, damaged }: RepoCopyJson, { dryRun }: RepoCopyOptions): string {
  const problem = (what: string) => (one: Problem) => `${what}: ${one.object}: ${plainText(one.message)}`;
  const verb = dryRun ? 'to copy' : 'copied';
  const left = conflicts.length + damaged.length;
  const summary = `${copied} objects ${verb} (${formatBytes(bytes)}), ${present} there already, ${left} not copied`;
  const lines = [...conflicts.map(problem('conflict')), ...damaged.map(problem('damaged')), summary];
  return lines.map((text) => `${text}\n`).join('');
}
