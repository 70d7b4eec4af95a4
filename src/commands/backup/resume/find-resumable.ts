/** `--resume`: the interrupted backup that can be gone on with, and what is stored of it. */
import { uptime } from 'node:os';
import { hasCode, reasonOf, WalholdError } from '../../../base/errors.ts';
import type { ConfigRecord } from '../../../repository/backup-record.ts';
import type { AttemptNote } from '../../../repository/attempt-note.ts';
import { findInterrupted, type InterruptedBackup } from '../../../repository/interrupted-backup.ts';
import type { BackupId } from '../../../repository/layout.ts';
import type { StoredPart } from '../../../repository/stored-part.ts';
import { isSessionAlive } from '../../../server/session-identity.ts';
import { tablespaceOids } from '../../../server/walk-data.ts';
import { storeNow } from '../../../store/lock-proof.ts';
import { formatBytes } from '../../format-bytes.ts';
import { hostOf, type BackupRun } from '../backup-run.ts';
import { isRefusal, type BackupType, type Refusal } from '../backup-type.ts';
import { findChangesAgain, type Increment } from '../find-changes.ts';
import { readParts, type PartsReading } from './read-parts.ts';
import { whyNotResumed, whyOtherType } from './resume-rule.ts';
import { readStoredConfig } from './stored-config.ts';

/** A backup that can be gone on with, as far as is known before the server begins. */
export interface Resumable {
  id: BackupId;
  /** What the first attempt noted: where the whole backup starts. */
  first: AttemptNote;
  /** The number of the attempt at hand. */
  attempt: number;
  parts: readonly StoredPart[];
  config: ConfigRecord | undefined;
  /** Of an incremental one, as the first attempt had it. */
  increment: Increment | undefined;
}

/**
 * `undefined`: a new backup has to be taken, and the log says why. Throws `refused` where the interrupted backup is not
 * interrupted at all, but runs; and what the stores say.
 */
export async function findResumable(run: BackupRun, type: BackupType): Promise<Resumable | undefined> {
  const { log } = run.context;
  const { repositories, signal, source } = run;
  const found = await findInterrupted(repositories, { signal, systemId: source.control.systemId });
  if (found === undefined) {
    log.info('there is no interrupted backup to go on with: a new one is taken');
    return undefined;
  }
  await requireEnded(run, found);
  const resumable = await judge(run, found, type);
  return isRefusal(resumable) ? sayWhyNot(run, found.id, resumable.why) : resumable;
}

/** That a new backup is taken, and why. */
export function sayWhyNot({ context }: BackupRun, id: BackupId, why: string): undefined {
  context.log.warning(`cannot go on with backup ${id}: ${why}`, {
    hint: 'A new backup is taken; "walhold expire" removes what is stored of that one in its time.',
  });
  return undefined;
}

/** A server takes a moment to see that a client was killed. */
const LOOKS = 10;
const BETWEEN_LOOKS_MS = 500;

/** Two attempts at one time would double each other's work, and the older one cannot end well. */
async function requireEnded({ source, context, signal }: BackupRun, { id, notes }: InterruptedBackup): Promise<void> {
  const last = notes.at(-1);
  if (last === undefined) return;
  for (let look = 1; await isSessionAlive(source.session, last.session); look++) {
    if (look === LOOKS) throw stillRuns(id, last);
    await context.clock.sleep(BETWEEN_LOOKS_MS, signal);
  }
}

function stillRuns(id: BackupId, last: AttemptNote): WalholdError {
  return new WalholdError('refused', `backup ${id} is not interrupted`, {
    detail: `${last.by} takes it since ${last.at}: the server's process ${last.session.pid} is its session`,
    hint: `If its program is gone, end the session: select pg_terminate_backend(${last.session.pid}).`,
  });
}

async function judge(run: BackupRun, found: InterruptedBackup, type: BackupType): Promise<Resumable | Refusal> {
  const why = whyNotResumed(found, serverNow(run)) ?? whyOtherType(found.id, type);
  const [first] = found.notes;
  if (why !== undefined || first === undefined) return { why: why ?? 'it had hardly begun' };
  const { log } = run.context;
  const increment = first.increment === undefined ? undefined : await findChangesAgain(run, first, first.increment);
  if (increment !== undefined && isRefusal(increment)) return increment;
  log.info(`reading what is stored of backup ${found.id}, begun at ${first.at}: ${found.parts.size} parts`);
  try {
    const parts = await readParts({ ...readingOf(run), olderFiles: increment?.files ?? new Set() }, found);
    if (isRefusal(parts)) return parts;
    const config = await readStoredConfig(run, found);
    if (isRefusal(config)) return config;
    const stored = parts.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
    log.info(`going on with backup ${found.id}: ${formatBytes(stored)} of it are stored`);
    return { id: found.id, first, attempt: found.nextAttempt, parts, increment, ...config };
  } catch (error) {
    if (!hasCode(error, 'damaged', 'bad-format', 'unlocked')) throw error;
    return { why: `${reasonOf(error)}${error.detail === undefined ? '' : ` (${error.detail})`}` };
  }
}

function readingOf({ context, source, ...run }: BackupRun): Omit<PartsReading, 'olderFiles'> {
  const { systemId, dataChecksumVersion, blockBytes, blocksPerFile } = source.control;
  const pages = { pageBytes: blockBytes, blocksPerFile, checksums: dataChecksumVersion !== 0 };
  return { ...run, systemId, pages, jobs: context.config.jobs };
}

function serverNow({ context, source, repositories }: BackupRun): Parameters<typeof whyNotResumed>[1] {
  const { facts, control, dataDirectory } = source;
  const now = context.clock.now();
  return {
    now: Math.max(now, ...repositories.map(({ store }) => storeNow(store, context.clock).getTime())),
    host: hostOf(context.by),
    dataDirectory,
    catalogVersion: control.catalogVersion,
    dataChecksums: control.dataChecksumVersion !== 0,
    inRecovery: facts.inRecovery,
    tablespaces: tablespaceOids(dataDirectory),
    timeline: facts.checkpoint.timeline,
    fullPageWrites: facts.settings.get('full_page_writes') !== 'off',
    fsync: facts.settings.get('fsync') !== 'off',
    bootedAt: now - uptime() * 1000,
  };
}
