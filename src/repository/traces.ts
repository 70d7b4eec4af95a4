/** What somebody else left in the repositories, as it was met: nobody believes it, everybody is told. */
import type { Stranger } from '../store/store.ts';
import { PROBE_KEY } from './layout.ts';
import type { Repository } from './repository.ts';

export interface Trace {
  /** The repository's number. */
  repository: number;
  kind: Stranger['kind'];
  /** The object's key. */
  object: string;
  version: string;
  at: Date;
}

/** In order of the keys, of one key in order of time. Not what `check` leaves under its own key when a store lets it overwrite. */
export function tracesOf({ number, strangers }: Pick<Repository, 'number' | 'strangers'>): Trace[] {
  const believed = new Set(
    strangers.flatMap(({ key, believed: version }) => (version === undefined ? [] : [`${key} ${version}`])),
  );
  return strangers
    .filter(({ key, version }) => !key.startsWith(PROBE_KEY) && !believed.has(`${key} ${version}`))
    .map(({ kind, key, version, storedAt }) => ({ repository: number, kind, object: key, version, at: storedAt }))
    .sort((a, b) => (a.object < b.object ? -1 : a.object > b.object ? 1 : a.at.getTime() - b.at.getTime()));
}

/** What it is, for people; the object is named beside it. */
export function describeTrace({ kind, version, at }: Pick<Trace, 'kind' | 'version' | 'at'>): string {
  const when = at.toISOString();
  switch (kind) {
    case 'later-version':
      return `version ${version}, stored at ${when}, came after the object and is not believed`;
    case 'delete-marker':
      return `a delete marker of ${when} (version ${version}) hides it from other programs`;
    case 'hidden':
      return `it was deleted: version ${version} of ${when} is left`;
    case 'unauthentic':
      return `version ${version} of ${when}, the oldest, is not authentic, and a later one is believed`;
  }
}
