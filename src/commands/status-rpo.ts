/** What a fire on this machine would cost now: the bytes that only it has, and the age of the oldest of them. */
import { open } from 'node:fs/promises';
import { ioError, systemCode } from '../base/errors.ts';
import { parseWalHeader } from '../postgres/wal-header.ts';
import { commitTimes } from '../postgres/wal-records.ts';
import { segmentStart, segnoOfLsn } from '../postgres/wal-name.ts';
import { wholeBackups } from '../repository/backup-chain.ts';
import { archivedWal, safeWal, type SafeWal } from '../repository/lag.ts';
import { pointOf, type Overview } from '../repository/overview.ts';
import { storedSegmentTimes } from '../repository/segment-times.ts';
import { historyOf, walOf } from '../repository/wal-inventory.ts';
import type { OwnSegment } from '../server/own-wal.ts';
import type { CommandContext } from './command-context.ts';
import type { LocalLag } from './local-lag.ts';
import type { StatusJson } from './status-json.ts';

export type Rpo = Pick<StatusJson, 'rpoSeconds' | 'rpoBytes' | 'rpoFrom'>;

/** As much of a segment is looked through for its first commit. */
const MOST_READ = 16 * 1024 * 1024;

/**
 * `null` where it cannot be told from here. While no repository answers, what the archiver was told to be safe counts, since it is told so only
 * once every repository has the file; on a standby it is told nothing. Throws `io`.
 */
export async function rpoOf(
  overview: Overview | undefined,
  local: LocalLag | undefined,
  context: Pick<CommandContext, 'clock' | 'signal'>,
): Promise<Rpo> {
  if (local === undefined) return { rpoSeconds: null, rpoBytes: null, rpoFrom: null };
  const rpoFrom = overview === undefined ? 'archiver' : 'repositories';
  const safe = overview === undefined ? safeByNotes(local) : (safeByStore(overview, local) ?? nothingSafe(local));
  if (safe === undefined) return { rpoSeconds: null, rpoBytes: null, rpoFrom: null };
  if (local.end <= safe.end) return { rpoSeconds: 0, rpoBytes: 0, rpoFrom };
  const since = (await writtenAt(safe, local)) ?? (await knownFromStore(safe, overview, local, context));
  const seconds = since === undefined ? null : Math.max(0, Math.round((context.clock.now() - since) / 1000));
  return { rpoSeconds: seconds, rpoBytes: Number(local.end - safe.end), rpoFrom };
}

function safeByStore(overview: Overview, local: LocalLag): SafeWal | undefined {
  const { inventory } = overview;
  if (inventory === undefined) return undefined;
  const history = local.history ?? historyOf(inventory, local.position.timeline);
  const points = wholeBackups(overview).map(({ summary }) => pointOf(summary));
  return safeWal(points, history, inventory);
}

/** All that is here is at stake. */
function nothingSafe({ own, position: { segmentBytes } }: LocalLag): SafeWal {
  const oldest = own?.segments[0] ?? own?.newest;
  return { last: undefined, end: segmentStart(oldest?.segno ?? 0n, segmentBytes) };
}

function safeByNotes({ own, wal, position }: LocalLag): SafeWal | undefined {
  if (own === undefined || wal === undefined || position.inRecovery) return undefined;
  return archivedWal(own, wal.done, position.segmentBytes);
}

/**
 * When the oldest byte that is not safe was written: no later than the first transaction in its segment ended, nor than the last write to
 * that segment. `undefined`: it is not on this machine any more.
 */
async function writtenAt({ end }: SafeWal, { own, position }: LocalLag): Promise<number | undefined> {
  if (own === undefined) return undefined;
  const { segmentBytes } = position;
  const segno = segnoOfLsn(end, segmentBytes);
  const found =
    own.segments.find((one) => one.segno === segno) ?? (own.newest?.segno === segno ? own.newest : undefined);
  if (found === undefined) return undefined;
  const commit = await firstCommitIn(found, segmentBytes);
  const lastWrite = found.local.modifiedAt.getTime();
  return commit === undefined ? lastWrite : Math.min(commit, lastWrite);
}

/** In ms since 1970. `undefined`: no transaction has ended in it, as far as was read. */
async function firstCommitIn({ local, segno }: OwnSegment, segmentBytes: number): Promise<number | undefined> {
  const bytes = await readBeginning(local.path);
  const parsed = bytes === undefined ? undefined : parseWalHeader(bytes);
  if (bytes === undefined || parsed?.ok !== true) return undefined;
  const { firstCommit } = commitTimes(bytes, parsed.header, segmentStart(segno, segmentBytes));
  return firstCommit === undefined ? undefined : Number(firstCommit / 1000n);
}

/** `undefined`: it is gone. */
async function readBeginning(path: string): Promise<Buffer | undefined> {
  try {
    await using handle = await open(path, 'r');
    const buffer = Buffer.alloc(Math.min(MOST_READ, (await handle.stat()).size));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
    return buffer.subarray(0, bytesRead);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw ioError(`could not read ${path}`, error);
  }
}

/** Without the files: the last transaction that is safe came before the oldest byte that is not, so it is no younger than that. */
async function knownFromStore(
  { last }: SafeWal,
  overview: Overview | undefined,
  { own }: LocalLag,
  { signal }: Pick<CommandContext, 'signal'>,
): Promise<number | undefined> {
  const oldest = own?.segments[0]?.local.modifiedAt.getTime();
  if (overview?.inventory === undefined || last === undefined) return oldest;
  const { inventory, repositories, systemId } = overview;
  const { lastCommit } = await storedSegmentTimes(repositories, inventory, { signal, systemId }).segment(last);
  if (lastCommit !== undefined) return Number(lastCommit / 1000n);
  return walOf(inventory, last.timeline).segments.get(last.segno)?.storedAt?.getTime() ?? oldest;
}
