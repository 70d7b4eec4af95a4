import { WalholdError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Repository, RepositoryFailure } from '../../repository/repository.ts';
import { warnOfUnread } from '../repository-failures.ts';

/**
 * One repository after the other: what one is not able to does not keep the others from theirs. Throws the error of the only one;
 * of several it is a warning, and the answer says that there was one.
 */
export async function eachRepository<T extends { repository: Repository }, R>(
  items: readonly T[],
  { log, signal }: { log: Log; signal: AbortSignal },
  work: (item: T) => Promise<R>,
): Promise<{ results: R[]; failures: readonly RepositoryFailure[] }> {
  const results: R[] = [];
  const failures: RepositoryFailure[] = [];
  for (const item of items) {
    try {
      results.push(await work(item));
    } catch (error) {
      signal.throwIfAborted();
      if (items.length === 1 || !(error instanceof WalholdError)) throw error;
      failures.push({ repository: item.repository, error });
    }
  }
  warnOfUnread(log, failures);
  return { results, failures };
}
