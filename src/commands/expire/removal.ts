/** Removing names, version by version, and believing no answer: what was removed is looked for again. */
import { hasCode, WalholdError } from '../../base/errors.ts';
import { mapParallel, Places } from '../../base/parallel.ts';
import { OPEN, type End } from '../../repository/lock/kept-backups.ts';
import {
  MOST_REMOVED_AT_ONCE,
  type CallOptions,
  type ObjectVersion,
  type RemovingStore,
  type Store,
  type VersionEntry,
} from '../../store/store.ts';

/** A name that is to go. */
export interface Doomed {
  readonly key: string;
  readonly bytes: number;
  /** When its lock ends, as far as a listing said; 0: it is not locked. */
  readonly until: End | undefined;
  /** When it falls free by its age; until then it is asked about first, which spares the store a refusal. */
  readonly presumed: number;
}

/** What came of one name. `locked`: nothing of it was removed, but perhaps later versions of somebody else. */
export type Removed = { kind: 'removed'; versions: number } | { kind: 'locked'; until: End };

export interface RemovalOptions extends CallOptions {
  store: Store;
  /** `undefined`: nothing is removed, only judged. */
  remover: RemovingStore | undefined;
  /** By the store's clock, ms since 1970. */
  now: number;
  /** Requests at a time, over all directories. */
  jobs: number;
}

type Version = Exclude<VersionEntry, { kind: 'directory' }>;
type ToldOf = (one: Doomed, outcome: Removed) => void;

/** So many objects are asked about when nothing is removed; of more their age has to tell. */
const MOST_LOOKS = 10_000;

export class Removal {
  readonly #options: RemovalOptions;
  readonly #places: Places;
  #looks = 0;
  #seesVersions = false;

  constructor(options: RemovalOptions) {
    this.#options = options;
    this.#places = new Places(options.jobs);
  }

  /**
   * Removes these names, all of which begin with `prefix`, as far as they are not locked, and tells of each. Throws at the first that the
   * store keeps without a lock, and where one is there afterwards.
   */
  async removeAll(prefix: string, names: readonly Doomed[], told: ToldOf): Promise<void> {
    const { remover, signal, jobs } = this.#options;
    const open: Doomed[] = [];
    for (const one of names) {
      const outcome = this.#judge(one);
      if (outcome === undefined) open.push(one);
      else told(one, outcome);
    }
    if (open.length === 0) return;
    const versions = remover === undefined ? undefined : await this.#versionsOf(prefix, open);
    const gone = await this.#removeTogether(open, versions, told);
    const left = gone.size === 0 ? open : open.filter(({ key }) => !gone.has(key));
    await mapParallel(left, jobs, (one) =>
      this.#places.run(async () => {
        signal.throwIfAborted();
        const outcome = await this.#remove(one, versions?.get(one.key));
        if (outcome.kind === 'removed') gone.add(one.key);
        told(one, outcome);
      }),
    );
    if (remover !== undefined && gone.size > 0) await this.#prove(prefix, gone);
  }

  /** What is known without asking. Of millions of objects most are: they take no promise each. */
  #judge({ until, presumed }: Doomed): Removed | undefined {
    const { remover, now } = this.#options;
    if (until !== undefined && until > now) return { kind: 'locked', until };
    if (remover === undefined && (until !== undefined || presumed <= now)) return { kind: 'removed', versions: 1 };
    return undefined;
  }

  /** Those that have one version each, by requests for many. Resolves to what the store says is gone. */
  async #removeTogether(
    open: readonly Doomed[],
    versions: ReadonlyMap<string, readonly Version[]> | undefined,
    told: ToldOf,
  ): Promise<Set<string>> {
    const { remover, signal, jobs, now } = this.#options;
    const gone = new Set<string>();
    if (remover?.removeMany === undefined || versions === undefined) return gone;
    const objects: (ObjectVersion & { one: Doomed })[] = [];
    for (const one of open) {
      const [only, another] = versions.get(one.key) ?? [];
      const isFree = one.until !== undefined || one.presumed <= now;
      if (isFree && only?.kind === 'version' && another === undefined)
        objects.push({ key: one.key, version: only.version, one });
    }
    if (objects.length < 2) return gone;
    await mapParallel(batchesOf(objects), jobs, (batch) =>
      this.#places.run(async () => {
        signal.throwIfAborted();
        const answers = await remover.removeMany?.(batch, { signal });
        for (const [at, { one }] of batch.entries()) {
          if (answers?.[at] !== true) continue;
          gone.add(one.key);
          told(one, { kind: 'removed', versions: 1 });
        }
      }),
    );
    return gone;
  }

  async #remove(one: Doomed, versions: readonly Version[] | undefined): Promise<Removed> {
    const { remover, now } = this.#options;
    const oldest = versions?.find(({ kind }) => kind === 'version')?.version;
    const until = one.until ?? (one.presumed > now ? await this.#lookAhead(one, oldest) : 0);
    if (until > now) return { kind: 'locked', until };
    if (remover === undefined) return { kind: 'removed', versions: 1 };
    // The newest first: were the oldest gone, somebody else's would be believed in its place.
    const all: readonly (Version | undefined)[] = versions?.toReversed() ?? [undefined];
    for (const version of all) {
      const locked = await this.#removeVersion(remover, one.key, version);
      if (locked !== undefined) return { kind: 'locked', until: locked };
    }
    return { kind: 'removed', versions: all.length };
  }

  /** Resolves to the end of the lock that kept it from being removed. */
  async #removeVersion(remover: RemovingStore, key: string, version: Version | undefined): Promise<End | undefined> {
    const { signal } = this.#options;
    try {
      await remover.remove(key, { signal, version: version?.version });
      return undefined;
    } catch (error) {
      if (!hasCode(error, 'denied')) throw error;
      const until = version?.kind === 'marker' ? 0 : await this.#look(key, version?.version);
      if (until > this.#options.now) return until;
      throw error;
    }
  }

  /** `version`: the one that is ours; somebody else's marker may hide it. */
  async #lookAhead({ key, presumed }: Doomed, version: string | undefined): Promise<End> {
    if (this.#options.remover === undefined && (this.#looks += 1) > MOST_LOOKS) return presumed;
    try {
      return await this.#look(key, version);
    } catch (error) {
      // Hidden, where versions are not listed: its age has to tell.
      if (version === undefined && hasCode(error, 'damaged')) return presumed;
      throw error;
    }
  }

  /** 0: not locked, as far as these credentials may know. */
  async #look(key: string, version: string | undefined): Promise<End> {
    const { store, signal } = this.#options;
    try {
      const protection = await store.locks?.look(key, version === undefined ? { signal } : { signal, version });
      return protection?.hold === true ? OPEN : (protection?.retention?.until.getTime() ?? 0);
    } catch (error) {
      if (hasCode(error, 'denied', 'unsupported')) return 0;
      throw error;
    }
  }

  /** Of each name all versions and markers, oldest first; `undefined`: this store keeps one content for a name. */
  async #versionsOf(prefix: string, names: readonly Doomed[]): Promise<Map<string, Version[]> | undefined> {
    const { store, signal } = this.#options;
    if (store.versions === undefined) return undefined;
    const wanted = new Map<string, Version[]>(names.map(({ key }) => [key, []]));
    try {
      for await (const entry of store.versions.list(prefix, { signal })) {
        if (entry.kind !== 'directory') wanted.get(entry.key)?.push(entry);
      }
      this.#seesVersions = true;
      return wanted;
    } catch (error) {
      if (hasCode(error, 'unsupported')) return undefined;
      throw error;
    }
  }

  async #prove(prefix: string, gone: ReadonlySet<string>): Promise<void> {
    const { store, signal } = this.#options;
    const source = this.#seesVersions && store.versions !== undefined ? store.versions : store;
    for await (const entry of source.list(prefix, { signal })) {
      if (entry.kind === 'directory' || !gone.has(entry.key)) continue;
      throw new WalholdError('store-rejected', `could not remove ${store.url}/${entry.key}`, {
        detail: 'the store answered that it is gone, and lists it',
        hint: 'Run it again; if that does not help, see whether somebody else writes there.',
      });
    }
  }
}

function batchesOf<T>(items: readonly T[]): T[][] {
  const batches: T[][] = [];
  for (let at = 0; at < items.length; at += MOST_REMOVED_AT_ONCE)
    batches.push(items.slice(at, at + MOST_REMOVED_AT_ONCE));
  return batches;
}
