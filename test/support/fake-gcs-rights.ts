import { refuse } from './fake-gcs-messages.ts';

/** A permission of Google's, without `storage.`. */
export type GcsRight =
  | 'objects.create'
  | 'objects.get'
  | 'objects.list'
  | 'objects.delete'
  | 'objects.update'
  | 'objects.setRetention'
  | 'objects.overrideUnlockedRetention'
  | 'buckets.get';

/** What README grants to who archives, restores and expires. */
export const GCS_ROLES: Readonly<Record<'archiver' | 'restorer' | 'pruner' | 'extender', readonly GcsRight[]>> = {
  archiver: ['objects.create', 'objects.get', 'objects.list', 'objects.setRetention'],
  restorer: ['objects.get', 'objects.list'],
  pruner: ['objects.get', 'objects.list', 'objects.delete'],
  extender: ['objects.get', 'objects.list', 'objects.update', 'objects.setRetention'],
};

/** What one request may do. */
export class GcsRights {
  readonly #held: ReadonlySet<GcsRight> | 'all';

  constructor(held: readonly GcsRight[] | 'all') {
    this.#held = held === 'all' ? 'all' : new Set(held);
  }

  has(right: GcsRight): boolean {
    return this.#held === 'all' || this.#held.has(right);
  }

  require(right: GcsRight, resource = 'the Google Cloud Storage object'): void {
    if (this.has(right)) return;
    throw refuse(
      403,
      'forbidden',
      `somebody@example.com does not have storage.${right} access to ${resource}. Permission 'storage.${right}' denied on resource (or it may not exist).`,
    );
  }
}
