import { placeText, type RepositoryPlace } from '../repository/repository.ts';

/** What the notes on a repository's locks are about: other settings are another matter. */
export function lockMemoryOf({ store, lock }: Pick<RepositoryPlace, 'store' | 'lock'>): {
  place: string;
  lock: string;
} {
  return { place: placeText(store), lock: lock === undefined ? 'none' : `${lock.mode} for ${lock.periodMs} ms` };
}
