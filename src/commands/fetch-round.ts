/** One round of asking every repository for one file: what is there, or what may be concluded from its absence. */
import { hasCode, WalholdError } from '../base/errors.ts';
import type { Clock } from '../base/clock.ts';
import type { TimelineHistory } from '../postgres/timeline-history.ts';
import type { PartialFile, WalFile } from '../postgres/wal-name.ts';
import { findHistoryHole, findSegmentHole, type Hole } from '../repository/holes.ts';
import { requireIdentity } from '../repository/identity.ts';
import type { Repository, RepositoryFailure } from '../repository/repository.ts';
import { findStray, type StrayTimeline } from '../repository/stray-timeline.ts';
import { fetchFrom, type FetchRooms } from '../repository/wal-archive.ts';
import { deadlineAfter } from './deadline.ts';

export type Wanted = Exclude<WalFile, PartialFile>;

export interface RoundOptions {
  signal: AbortSignal;
  clock: Clock;
  /** Of the cluster, where pg_control tells; else the repository's own. */
  systemId: bigint | undefined;
  segmentBytes: number | undefined;
  /** Whether recovery follows the latest timeline. */
  latest: boolean;
  /** The history of the timeline that recovery follows, if it is not the one of the file. */
  target: TimelineHistory | undefined;
  /** How long a repository may go without any answer. */
  reachMs: number;
  /** Stores were not answering: first a small question, the file only after its answer. */
  probeFirst: boolean;
  /** Only where one repository is asked: two would write over each other. */
  rooms?: FetchRooms | undefined;
}

export type Round =
  | { kind: 'found'; plain: Buffer; from: Repository; failures: readonly RepositoryFailure[] }
  /** Proven in every repository, and nothing shows that WAL goes on. */
  | { kind: 'absent' }
  | { kind: 'hole'; hole: Hole }
  | { kind: 'stray'; stray: StrayTimeline }
  /** No repository gave it, and these did not answer, or not with what can be used. */
  | { kind: 'unknown'; failures: readonly RepositoryFailure[] };

export async function askOnce(
  repositories: readonly Repository[],
  file: Wanted,
  options: RoundOptions,
): Promise<Round> {
  const judging = judgeStray(repositories, file, options);
  const look = await lookEverywhere(repositories, file, options);
  const stray = await judging;
  if (stray instanceof Error) return unknown(repositories, stray, options.signal);
  if (stray !== undefined) return { kind: 'stray', stray };
  if (look.kind !== 'absent') return look;
  try {
    const hole = await findHole(repositories, file, { ...options, systemId: look.systemId });
    return hole === undefined ? { kind: 'absent' } : { kind: 'hole', hole };
  } catch (error) {
    return unknown(repositories, error, options.signal);
  }
}

/** Never rejects, since it goes on beside the reading: an error is its result. */
async function judgeStray(
  repositories: readonly Repository[],
  file: Wanted,
  { target, segmentBytes, signal }: RoundOptions,
): Promise<StrayTimeline | Error | undefined> {
  if (file.kind !== 'segment' || target === undefined || segmentBytes === undefined) return undefined;
  try {
    return await findStray(repositories, file, target, { signal, segmentBytes });
  } catch (error) {
    return error as Error;
  }
}

async function findHole(
  repositories: readonly Repository[],
  file: Wanted,
  options: RoundOptions & { systemId: bigint },
): Promise<Hole | undefined> {
  switch (file.kind) {
    case 'segment':
      return findSegmentHole(repositories, file, options);
    case 'history':
      return findHistoryHole(repositories, file, options);
    case 'backup-label':
      return undefined;
  }
}

type Look =
  | Extract<Round, { kind: 'found' | 'unknown' }>
  /** Absent in every repository, and each is this cluster's. */
  | { kind: 'absent'; systemId: bigint };

/** How long the first repository alone is waited for, before the next is asked too. */
const HEDGE_MS = 3000;

/** Asks in order; the next one as soon as one has failed, lacks the file, or takes long. */
async function lookEverywhere(repositories: readonly Repository[], file: Wanted, options: RoundOptions): Promise<Look> {
  const failures: RepositoryFailure[] = [];
  let systemId: bigint | undefined;
  const { promise: found, resolve: announce } = Promise.withResolvers<Look>();
  const asked: Promise<void>[] = [];
  for (const repository of repositories) {
    const asking = (async (): Promise<void> => {
      try {
        const answer = await lookIn(repository, file, options);
        systemId ??= answer.systemId;
        if (answer.plain !== undefined) announce({ kind: 'found', plain: answer.plain, from: repository, failures });
      } catch (error) {
        failures.push({ repository, error });
      }
    })();
    asked.push(asking);
    using patience = deadlineAfter(HEDGE_MS, options.clock, options.signal);
    await Promise.race([asking, found, aborted(patience.signal)]);
  }
  const all = Promise.all(asked).then((): Look => {
    if (failures.length > 0 || systemId === undefined) return { kind: 'unknown', failures };
    return { kind: 'absent', systemId };
  });
  const look = await Promise.race([found, all]);
  options.signal.throwIfAborted();
  return look;
}

async function lookIn(
  { store, url, ...rest }: Repository,
  file: Wanted,
  { signal, clock, systemId, segmentBytes, reachMs, probeFirst, rooms }: RoundOptions,
): Promise<{ plain: Buffer | undefined; systemId: bigint }> {
  using reach = deadlineAfter(reachMs, clock, signal);
  try {
    const identity = requireIdentity(store, { signal: reach.signal, systemId });
    // An answer of any kind shows that the store can be reached.
    identity.then(reach.lift, reach.lift);
    const owner = probeFirst || systemId === undefined ? (await identity).systemId : systemId;
    const repository = { store, url, ...rest };
    const plain = await fetchFrom(repository, file, { signal: reach.signal, systemId: owner, segmentBytes, rooms });
    // Read at the same time. Without it nothing counts: neither what is found there nor what is not.
    await identity;
    return { plain, systemId: owner };
  } catch (error) {
    if (!hasCode(error, 'deadline')) throw error;
    throw new WalholdError('unreachable', `could not reach ${url}`, { detail: error.message, cause: error });
  }
}

function unknown(repositories: readonly Repository[], error: unknown, signal: AbortSignal): Round {
  signal.throwIfAborted();
  const [repository] = repositories;
  return { kind: 'unknown', failures: repository === undefined ? [] : [{ repository, error }] };
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
