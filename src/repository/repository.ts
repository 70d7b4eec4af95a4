import { hasCode, reasonOf, WalholdError } from '../base/errors.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { openStore, type StoreSettings } from '../store/open-store.ts';
import { refusingStore } from '../store/refusing-store.ts';
import { retryPolicy, type RetryPolicy } from '../store/retry.ts';
import type { LockMemory, LockRequest, Store, Stranger } from '../store/store.ts';

/** One of the configured repositories, ready to be asked. */
export interface Repository {
  /** 1 for `repo`, 2 for `repo2`, … */
  number: number;
  /** As configured, without secrets: for messages and notes. */
  url: string;
  settings: StoreSettings;
  /** What its new objects are locked with; `undefined`: nothing is. */
  lock: (LockRequest & { maxMs: number }) | undefined;
  /** What is kept at least; see `config/config.ts`. */
  retention: { windowMs: number | undefined; fullBackups: number };
  /** Traces of somebody else that were met so far: later versions and delete markers, which nobody believes. */
  strangers: readonly Stranger[];
  /** Repeats what is not answered, until the caller's signal ends it (or `tries` are over). */
  store: Store;
}

/** As many are named as anybody reads. */
const MOST_STRANGERS = 10_000;

/** What the configuration says of a repository. */
export interface RepositoryPlace {
  number: number;
  url: string;
  store: StoreSettings;
  lock: Repository['lock'];
  retention: Repository['retention'];
}

export interface RepositoryDeps {
  clock: Clock;
  /** Evenly in [0, 1). */
  random: () => number;
  log: Log;
  /** Most tries of one request; without it the caller's signal alone ends them. */
  tries?: number;
  /** No try of one request begins so long after its first failure. */
  patienceMs?: number;
  /** Read as the stores were at this moment. */
  asOf?: Date | undefined;
  /** Told of each trace of somebody else as it is met, with the repository's number. */
  onStranger?: (repository: number, stranger: Stranger) => void;
  /** What earlier calls saw of a repository's locks. */
  lockMemory?: (place: StoreSettings) => LockMemory | undefined;
}

/**
 * Opens what is configured, in the order of the numbers. No store is asked anything yet; one whose settings cannot work (`config`)
 * says so to each question.
 */
export async function openRepositories(
  config: { repositories: readonly RepositoryPlace[]; requestTimeoutMs: number },
  deps: RepositoryDeps,
): Promise<Repository[]> {
  const policy = retryPolicy({ ...deps, requestTimeoutMs: config.requestTimeoutMs });
  return Promise.all(config.repositories.map((place) => openRepository(place, policy, deps)));
}

async function openRepository(place: RepositoryPlace, policy: RetryPolicy, deps: RepositoryDeps): Promise<Repository> {
  const { number, url, store: settings, lock, retention } = place;
  const strangers: Stranger[] = [];
  const met = new Set<string>();
  const onStranger = (stranger: Stranger): void => {
    const name = `${stranger.kind} ${stranger.key} ${stranger.version}`;
    if (strangers.length >= MOST_STRANGERS || met.has(name)) return;
    met.add(name);
    strangers.push(stranger);
    deps.onStranger?.(number, stranger);
  };
  const opening = openStore(settings, policy, {
    lock,
    asOf: deps.asOf,
    lockMemory: deps.lockMemory?.(settings),
    onStranger,
    onBlind(error) {
      deps.log.warning(`only the newest version of each object in ${url} can be read`, {
        detail: reasonOf(error),
        hint: 'Allow the listing of versions (S3: s3:ListBucketVersions and s3:GetObjectVersion), so that nothing can be hidden.',
      });
    },
  });
  // One whose settings cannot work does not keep the others from being asked.
  const store = await opening.catch((error: unknown) => {
    if (hasCode(error, 'config')) return refusingStore(url, error);
    throw error;
  });
  return { number, url, settings, lock, retention, strangers, store };
}

/** The one that `--use-repo N` names, or all. Throws `usage`. */
export function chooseRepositories<T extends { number: number }>(all: readonly T[], use: string | undefined): T[] {
  if (use === undefined) return [...all];
  const chosen = all.filter(({ number }) => String(number) === use);
  if (chosen.length > 0) return chosen;
  throw new WalholdError('usage', `there is no repository number ${use}`, {
    hint: `Configured are: ${all.map(({ number }) => number).join(', ')}.`,
  });
}

/** All that says where a repository lies: two with the same text are the same place. */
export function placeText(settings: StoreSettings): string {
  if (settings.scheme === 'file') return `file://${settings.path}`;
  const { scheme, bucket, prefix, endpoint } = settings;
  const at = endpoint ?? (scheme === 's3' ? settings.region : undefined) ?? 'the default endpoint';
  return `${scheme}://${bucket}/${prefix} at ${at}`;
}

export async function closeRepositories(repositories: readonly Repository[]): Promise<void> {
  await Promise.all(repositories.map(({ store }) => store.close()));
}

/** Why one repository of several gave nothing. */
export interface RepositoryFailure {
  repository: Repository;
  error: unknown;
}

/**
 * The first result that any repository gives, in their order, and who failed before it. An `undefined` (proven absent there) makes
 * the next one be asked; it is the result only when all have answered so. Throws when none had it and at least one failed.
 */
export async function firstThatWorks<T>(
  repositories: readonly Repository[],
  ask: (repository: Repository) => Promise<T | undefined>,
): Promise<{ value: T | undefined; from: Repository | undefined; failures: RepositoryFailure[] }> {
  const failures: RepositoryFailure[] = [];
  for (const repository of repositories) {
    try {
      const value = await ask(repository);
      if (value !== undefined) return { value, from: repository, failures };
    } catch (error) {
      if (hasCode(error, 'interrupted', 'deadline')) throw error;
      failures.push({ repository, error });
    }
  }
  if (failures.length > 0) throw worstOf(failures);
  return { value: undefined, from: undefined, failures };
}

/** One error for several: the first, with the others named in its detail. */
export function worstOf(failures: readonly RepositoryFailure[]): unknown {
  const [first, ...others] = failures;
  if (first === undefined) return new WalholdError('unreachable', 'no repository was asked');
  if (others.length === 0 || !(first.error instanceof WalholdError)) return first.error;
  const rest = others.map(({ repository, error }) => `${repository.url}: ${describe(error)}`).join('; ');
  const { code, message, detail, hint } = first.error;
  return new WalholdError(code, message, {
    detail: [detail, `also ${rest}`].filter((part) => part !== undefined).join('; '),
    cause: first.error,
    ...(hint === undefined ? {} : { hint }),
  });
}

function describe(error: unknown): string {
  if (!(error instanceof WalholdError)) return String(error);
  return error.detail === undefined ? error.message : `${error.message}: ${error.detail}`;
}
