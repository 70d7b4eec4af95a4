/** What a server's `pg_wal` holds and the repositories lack, stored, whatever the archiver believes of it. */
import { join } from 'node:path';
import type { ControlFile } from '../postgres/control-file.ts';
import { rootHistory } from '../postgres/timeline-history.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import { findOwnWal } from '../server/own-wal.ts';
import { readPgWal, type LocalWalFile } from '../server/pg-wal.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';
import { openLocalCluster } from './local-cluster.ts';
import {
  historyOfTimeline,
  requireControlFile,
  requireDataDirectory,
  walPositionOf,
  type ServerOptions,
} from './local-server.ts';
import { openTargets } from './push-targets.ts';
import type { PushFailure } from './push-failure.ts';
import { storeMissing } from './store-missing.ts';
import { withRepositories } from './with-repositories.ts';

/** The shape of `walhold wal push --json`; with `--check` nothing is ever pushed. */
export interface WalPushJson {
  /** Names that some repository lacked and all hold now. */
  pushed: string[];
  /** Names that some repository lacks still. */
  missing: string[];
  failures: PushFailure[];
}

export interface WalPushOptions extends ServerOptions {
  check: boolean;
  json: boolean;
}

/** `archive_status` stays as it is: that is the server's to change. A fault when something is missing in the end. */
export async function walPush(context: CommandContext, options: WalPushOptions): Promise<CommandOutcome> {
  const dataDirectory = requireDataDirectory(context, options.pgdata);
  const control = await requireControlFile(dataDirectory);
  const result = await pushOwnWal(context, { dataDirectory, control }, options);
  report(context, result, options);
  return result.missing.length + result.failures.length === 0 ? 'done' : 'fault';
}

/** The same without words; also for a worker. */
export async function pushOwnWal(
  context: CommandContext,
  { dataDirectory, control }: { dataDirectory: string; control: ControlFile },
  options: Pick<WalPushOptions, 'dbname' | 'check'>,
): Promise<WalPushJson> {
  const candidates = await candidatesOf(context, dataDirectory, control, options);
  const { spool } = await openLocalCluster(join(dataDirectory, 'pg_wal', 'x'), context, { useSpool: !options.check });
  return await withRepositories(context, async (repositories): Promise<WalPushJson> => {
    const mode = options.check ? 'look' : 'store';
    const { targets, failures } = await openTargets(repositories, { control, candidates, spool, mode }, context);
    const missing = candidates.filter(({ file }) => targets.some((target) => target.lacks(file)));
    const result: WalPushJson = { pushed: [], missing: missing.map(({ file }) => file.name), failures };
    if (options.check) return result;
    const stored = await storeMissing(missing, targets, { control }, context);
    result.pushed = stored.pushed;
    result.missing = result.missing.filter((name) => !stored.pushed.includes(name));
    result.failures.push(...stored.failures);
    return result;
  });
}

/** Histories first, as the archiver does it, then the oldest WAL. */
async function candidatesOf(
  context: CommandContext,
  dataDirectory: string,
  control: ControlFile,
  options: Pick<WalPushOptions, 'dbname'>,
): Promise<LocalWalFile[]> {
  const wal = await readPgWal(dataDirectory);
  const { timeline, written } = await walPositionOf(context, options.dbname, control);
  const history = await historyOfTimeline(dataDirectory, timeline);
  if (history === undefined) warnOfHistory(context, timeline);
  const { systemId, segmentBytes } = control;
  const own = await findOwnWal({ wal, history: history ?? rootHistory(timeline), systemId, segmentBytes, written });
  const wanted = new Map<string, LocalWalFile>();
  for (const local of [...own.histories, ...own.segments.map((segment) => segment.local)]) {
    wanted.set(local.file.name, local);
  }
  for (const local of wal.files) if (wal.ready.has(local.file.name)) wanted.set(local.file.name, local);
  const rank = ({ file }: LocalWalFile): string =>
    `${file.kind === 'history' ? 0 : 1}${file.name.slice(8)}${file.name}`;
  return [...wanted.values()].sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
}

function warnOfHistory({ log }: CommandContext, timeline: TimelineId): void {
  log.warning(`pg_wal has no history file of timeline ${timeline}: segments of the timelines before it are left out`, {
    hint: 'Those that are ready to be archived are stored all the same.',
  });
}

function report({ print, log }: CommandContext, result: WalPushJson, options: WalPushOptions): void {
  if (options.json) print(`${JSON.stringify(result, undefined, 2)}\n`);
  else print((options.check ? result.missing : result.pushed).map((name) => `${name}\n`).join(''));
  for (const { name, repository, message } of result.failures) {
    log.error(name === null ? `repository ${repository}: ${message}` : `${name}, repository ${repository}: ${message}`);
  }
  if (result.missing.length > 0) {
    const hint = options.check ? 'Store them with "walhold wal push".' : undefined;
    log.error(`${result.missing.length} files are not stored in every repository`, { hint });
  }
}
