import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { hasCode, WalholdError } from '../../base/errors.ts';
import {
  ensureIdentity,
  readIdentity,
  requireEmpty,
  requireIdentity,
  type Identity,
} from '../../repository/identity.ts';
import type { Repository } from '../../repository/repository.ts';
import type { CallOptions, Store } from '../../store/store.ts';

/**
 * The source's identity, which the target has afterwards: an empty place gets a copy of it. Throws `identity` when the target is
 * another cluster's, `store-gone` when it is no repository and not empty either, or was one (`known`).
 */
export async function copyIdentity(
  source: Repository,
  target: Repository,
  options: CallOptions & { known: (identity: Identity) => Promise<boolean> },
): Promise<Identity> {
  const { signal } = options;
  const identity = await requireIdentity(source.store, { signal });
  const { systemId, createdAt, by } = identity;
  const now = new Date(createdAt);
  if (Number.isNaN(now.getTime())) {
    const detail = 'createdAt is no time';
    throw new WalholdError('damaged', `could not trust walhold.json in ${source.url}`, { detail });
  }
  await ensureIdentity(target, { signal, systemId, by, now, known: await options.known(identity) });
  return identity;
}

/**
 * The same for a look that makes nothing: the target as it would be, as far as looking tells. A directory that is not there yet
 * comes back as a store that holds nothing.
 */
export async function foreseeIdentity(
  source: Repository,
  target: Repository,
  { signal }: CallOptions,
): Promise<{ identity: Identity; target: Repository }> {
  const identity = await requireIdentity(source.store, { signal });
  const { systemId } = identity;
  const { store, settings } = target;
  try {
    if ((await readIdentity(store, { signal })) !== undefined) await requireIdentity(store, { signal, systemId });
    else await requireEmpty(store, { signal });
    return { identity, target };
  } catch (error) {
    const wouldBeMade = settings.scheme === 'file' && hasCode(error, 'store-gone') && !existsSync(settings.path);
    if (!wouldBeMade || !existsSync(dirname(settings.path))) throw error;
    return { identity, target: { ...target, store: { ...store, ...NOTHING } } };
  }
}

const NOTHING: Pick<Store, 'stat' | 'open' | 'list'> = {
  stat: () => Promise.resolve(undefined),
  open: () => Promise.resolve(undefined),
  async *list() {},
};
