import { WalholdError } from '../base/errors.ts';
import { requireIdentity } from '../repository/identity.ts';
import type { Repository } from '../repository/repository.ts';
import type { CallOptions } from '../store/store.ts';

/** The system identifier that all these repositories belong to. Throws `store-gone` or `identity`, or what a store says. */
export async function requireKnown(repositories: readonly Repository[], { signal }: CallOptions): Promise<bigint> {
  let systemId: bigint | undefined;
  for (const { store } of repositories) {
    ({ systemId } = await requireIdentity(store, { signal, systemId }));
  }
  if (systemId === undefined) throw new WalholdError('config', 'no repository is configured');
  return systemId;
}
