import type { Clock } from '../../base/clock.ts';
import { WalholdError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Repository } from '../../repository/repository.ts';
import { missingSegments } from '../../repository/required-wal.ts';
import { isArchived } from '../../server/archive-status.ts';

export interface ArchiveWatch {
  repositories: readonly Repository[];
  /** Of a primary, whose own notes say what it has archived; `undefined`: others archive, and only looking helps. */
  dataDirectory: string | undefined;
  clock: Clock;
  log: Log;
  signal: AbortSignal;
}

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 5_000;
/** Each pause than the one before: what is waited in vain is a fifth of the whole at most. */
const LONGER = 1.25;
/** How often to say what is still missing. */
const SAY_MS = 60_000;

/**
 * Looks until every repository holds all these segments. Throws `server` when the server says that it has archived one that a
 * repository lacks, and `deadline` after `timeoutMs`; both name what is missing where.
 */
export async function waitForSegments(names: readonly string[], timeoutMs: number, watch: ArchiveWatch): Promise<void> {
  const { clock, log, signal } = watch;
  const until = clock.now() + timeoutMs;
  let sayAt = clock.now() + SAY_MS;
  let left = new Map(watch.repositories.map((one) => [one, [...names]]));
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * LONGER, LONGEST_PAUSE_MS)) {
    left = await stillMissing(left, watch);
    if (left.size === 0) return;
    const now = clock.now();
    if (now >= until) throw tooLate(left, timeoutMs);
    if (now >= sayAt) {
      log.info(`waiting for WAL: ${describe(left)}`);
      sayAt = now + SAY_MS;
    }
    await clock.sleep(Math.max(1, Math.min(pauseMs, until - now)), signal);
  }
}

/**
 * While the files are copied: a segment that was not archived before shows early whether the server archives into these
 * repositories. Returns when all hold it. Throws as `waitForSegments`, but not for the time it takes.
 */
export async function watchArchiving(name: string, watch: ArchiveWatch): Promise<void> {
  let left = new Map(watch.repositories.map((one) => [one, [name]]));
  for (;;) {
    left = await stillMissing(left, watch);
    if (left.size === 0) return;
    await watch.clock.sleep(LONGEST_PAUSE_MS, watch.signal);
  }
}

type Missing = Map<Repository, string[]>;

async function stillMissing(before: Missing, { dataDirectory, signal }: ArchiveWatch): Promise<Missing> {
  const after: Missing = new Map();
  for (const [repository, names] of before) {
    // Asked before the repository: what is archived by now must be there then.
    const archived = dataDirectory === undefined ? undefined : names.find((name) => isArchived(dataDirectory, name));
    const missing = await missingSegments(repository.store, names, { signal });
    if (archived !== undefined && missing.includes(archived)) throw notArchivedHere(archived, repository);
    if (missing.length > 0) after.set(repository, missing);
  }
  return after;
}

function notArchivedHere(name: string, repository: Repository): WalholdError {
  return new WalholdError('server', `the server does not archive into ${repository.url}`, {
    detail: `it says that ${name} is archived, but the repository does not hold it`,
    hint: `Let archive_command be 'walhold-push %p', with the same repositories as here, then take the backup again.`,
  });
}

function tooLate(left: Missing, timeoutMs: number): WalholdError {
  return new WalholdError('deadline', `the WAL that the backup needs was not stored within ${timeoutMs / 1000} s`, {
    detail: describe(left),
    hint: 'Look into the log of the server that archives; on a standby let --primary name the server that shall switch WAL.',
  });
}

/** The first names for each repository, and how many there are. */
function describe(left: Missing): string {
  return [...left].map(([{ url }, names]) => `${url} lacks ${shown(names)}`).join('; ');
}

function shown(names: readonly string[]): string {
  const [first = '', second] = names;
  if (second === undefined) return first;
  return `${first} and ${names.length - 1} more up to ${names.at(-1) ?? ''}`;
}
