import { WalholdError } from '../base/errors.ts';
import type { CallOptions } from '../store/store.ts';
import { requireIdentity } from './identity.ts';
import { worstOf, type Repository, type RepositoryFailure } from './repository.ts';

export interface Identified {
  /** The cluster that all of `known` belong to. */
  systemId: bigint;
  /** Those that answered and are repositories, in order of their numbers. */
  known: Repository[];
  failures: RepositoryFailure[];
}

/** Which of the repositories can be read. Throws when none can, and `identity` when they belong to different clusters. */
export async function identify(
  repositories: readonly Repository[],
  { signal, systemId: wanted }: CallOptions & { systemId?: bigint | undefined },
): Promise<Identified> {
  const known: Repository[] = [];
  const failures: RepositoryFailure[] = [];
  let systemId = wanted;
  for (const repository of repositories) {
    try {
      systemId = (await requireIdentity(repository.store, { signal, systemId })).systemId;
      known.push(repository);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof WalholdError && error.code === 'identity') throw error;
      failures.push({ repository, error });
    }
  }
  if (systemId === undefined || known.length === 0) throw worstOf(failures);
  return { systemId, known, failures };
}
