import { hasCode, reasonOf, WalholdError } from '../base/errors.ts';
import { ensureIdentity } from '../repository/identity.ts';
import { placeText, type Repository } from '../repository/repository.ts';
import { pushInto } from '../repository/wal-archive.ts';
import type { PreparedWal } from '../repository/wal-object.ts';
import { clearConfirmations, noteConfirmations, readConfirmations } from '../spool/confirmations.ts';
import { isKnownRepository, rememberRepository } from '../spool/known-repositories.ts';
import { clearPushOutage, notePushOutage, readPushOutage, type PushOutage } from '../spool/push-outage.ts';
import type { Spool } from '../spool/spool.ts';
import { deadlineAfter } from './deadline.ts';
import type { HookContext } from './hook-context.ts';
import { PushRepositories } from './push-repositories.ts';

/** A store known to be down gets this long, so that the whole call stays under 5 s. */
const QUICK_MS = 3000;

export type PushContext = Pick<HookContext, 'config' | 'clock' | 'log' | 'signal' | 'by'>;

/** Opens the repositories for one file; see `pushPrepared`. */
export async function pushEverywhere(wal: PreparedWal, spool: Spool, context: HookContext): Promise<void> {
  const repositories = await PushRepositories.open(spool, context);
  try {
    await pushPrepared(repositories.all, wal, spool, context);
  } finally {
    await repositories.close();
    await repositories.settle(spool);
  }
}

/**
 * Stores the file in all repositories at the same time and returns when each holds it. All are tried whatever happens to one; the
 * error names those that failed and those that hold the file. The context's signal carries the deadline of the whole.
 */
export async function pushPrepared(
  repositories: readonly Repository[],
  wal: PreparedWal,
  spool: Spool,
  context: PushContext,
): Promise<void> {
  const { sha256 } = wal.encoded.head;
  const confirmed = await readConfirmations(spool, wal.file.name, sha256);
  const results = await Promise.allSettled(
    repositories.map((one) =>
      pushToOne(one, wal, { spool, expected: confirmed.has(placeText(one.settings)) }, context),
    ),
  );

  const failures: Failure[] = [];
  const holders: Repository[] = [];
  for (const [index, result] of results.entries()) {
    const repository = repositories[index] as Repository;
    if (result.status === 'fulfilled') holders.push(repository);
    else failures.push({ repository, error: result.reason });
  }
  if (failures.length === 0) return clearConfirmations(spool);
  if (holders.length > 0) {
    const places = holders.map(({ settings }) => placeText(settings));
    await noteConfirmations(spool, wal.file.name, sha256, places);
  }
  throw unitedFailure(wal, failures, holders);
}

interface Failure {
  repository: Repository;
  error: unknown;
}

async function pushToOne(
  repository: Repository,
  wal: PreparedWal,
  { spool, expected }: { spool: Spool; expected: boolean },
  context: PushContext,
): Promise<void> {
  const { config, clock, log, by } = context;
  const place = placeText(repository.settings);
  const outage = await readPushOutage(spool, place, clock.now());
  using quick = deadlineAfter(outage === undefined ? config.pushTimeoutMs : QUICK_MS, clock, context.signal);
  let stage: PushOutage['stage'] = 'reach';
  try {
    const known = await isKnownRepository(spool, place, wal.systemId);
    const now = new Date(clock.now());
    await ensureIdentity(repository, { signal: quick.signal, systemId: wal.systemId, known, by, now });
    await rememberRepository(spool, place, wal.systemId);
    stage = 'store';
    // It answers again, so it may take its time, unless it was the upload that it never answered.
    if (outage?.stage !== 'store') quick.lift();
    await pushInto(repository, wal, { signal: quick.signal, log, expected });
    await clearPushOutage(spool, place);
  } catch (error) {
    if (!hasCode(error, 'unreachable', 'deadline')) throw error;
    const hadItsTime = outage === undefined || (stage === 'store' && outage.stage === 'reach');
    if (hadItsTime) await notePushOutage(spool, place, { stage }, clock.now());
    throw unreachable(repository, wal, error);
  }
}

function unreachable(repository: Repository, wal: PreparedWal, error: WalholdError): WalholdError {
  return new WalholdError('unreachable', `could not store ${wal.file.name} in ${repository.url}`, {
    detail: [error.message, error.detail].filter((part) => part !== undefined).join(': '),
    hint: error.hint ?? 'PostgreSQL keeps the file and calls again; look after the store or the way to it.',
    cause: error,
  });
}

function unitedFailure(wal: PreparedWal, failures: readonly Failure[], holders: readonly Repository[]): unknown {
  const [first] = failures;
  if (first === undefined || failures.length + holders.length === 1) return first?.error;
  const { error } = first;
  if (!(error instanceof WalholdError)) return error;
  const total = failures.length + holders.length;
  const failed = failures.map(({ repository, error: each }) => `${repository.url}: ${whole(each)}`);
  const held = holders.map(({ url }) => url).join(', ');
  return new WalholdError(
    error.code,
    `could not store ${wal.file.name} in ${failures.length} of ${total} repositories`,
    {
      detail: [...failed, ...(held === '' ? [] : [`stored in ${held}`])].join('; '),
      cause: error,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    },
  );
}

function whole(error: unknown): string {
  if (!(error instanceof WalholdError)) return reasonOf(error);
  return error.detail === undefined ? error.message : `${error.message}: ${error.detail}`;
}
