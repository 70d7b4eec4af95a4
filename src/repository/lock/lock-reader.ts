import { Places } from '../../base/parallel.ts';
import { hasCode, WalholdError } from '../../base/errors.ts';
import type { CallOptions, ObjectInfo, Protection, StoreLocks } from '../../store/store.ts';
import { parseWalKey } from '../layout.ts';
import type { Repository } from '../repository.ts';
import { readStoredHead } from '../stored-head.ts';

/** An object and what protects it, as the store says. */
export interface SeenObject {
  info: ObjectInfo;
  protection: Protection;
}

/** Asks a repository what protects its objects: listings tell on files and GCS; on S3 each object is asked for. */
export class LockReader {
  readonly repository: Repository;
  readonly locks: StoreLocks;
  /** So many single objects are worked on at a time. */
  readonly lanes: number;
  readonly places: Places;
  readonly signal: AbortSignal;
  /** Requests for single objects so far. */
  asked = 0;
  /** Keys of the repository's strangers, as far as they were known when last looked for. */
  readonly #strange = new Set<string>();
  #strangersSeen = 0;

  /** Whether listings are asked again for the immutable attribute, which they do not show. */
  seesAttribute = false;

  /** `jobs`: requests for single objects at a time. Throws `unsupported` where nothing can be locked. */
  constructor(repository: Repository, { jobs, signal }: CallOptions & { jobs: number }) {
    const { locks } = repository.store;
    if (locks === undefined) {
      throw new WalholdError('unsupported', `could not look at the locks in ${repository.url}`, {
        detail: 'its store has none',
      });
    }
    this.repository = repository;
    this.locks = locks;
    // Files are asked by programs that take many names at once.
    this.lanes = repository.settings.scheme === 'file' ? Math.max(jobs, FILE_LANES) : jobs;
    this.places = new Places(this.lanes);
    this.signal = signal;
  }

  /** Every object below `prefix`. */
  async *list(prefix: string): AsyncGenerator<ObjectInfo> {
    for await (const entry of this.repository.store.list(prefix, { signal: this.signal })) {
      if (entry.kind === 'object') yield entry;
    }
  }

  /** `undefined`: the object is gone meanwhile. Throws `denied` where it may not be told. */
  async see(info: ObjectInfo): Promise<SeenObject | undefined> {
    const told = info.protection;
    const isTold = told !== undefined && !(this.seesAttribute && told.retention?.mode === 'read-only');
    const protection = isTold ? told : await this.#ask(info);
    return protection === undefined ? undefined : { info, protection };
  }

  #ask(info: ObjectInfo): Promise<Protection | undefined> {
    this.asked += 1;
    return this.places.run(() => this.locks.look(info.key, versionOf(info, this.signal)));
  }

  /** Whether somebody has put other versions under this name, as far as listings have shown. */
  isMeddledWith(key: string): boolean {
    const { strangers } = this.repository;
    for (; this.#strangersSeen < strangers.length; this.#strangersSeen += 1) {
      this.#strange.add(strangers[this.#strangersSeen]?.key ?? '');
    }
    return this.#strange.has(key);
  }

  /**
   * The versions of an object that may be ours: the one that was listed, and of a name meddled with the oldest that readers may
   * believe, the one of them whose head fits its name first of all.
   */
  async versionsOf(info: ObjectInfo, systemId: bigint): Promise<readonly ObjectInfo[]> {
    const { store } = this.repository;
    const { signal } = this;
    if (store.candidates === undefined || !this.isMeddledWith(info.key)) return [info];
    const authentic = parseWalKey(info.key) === undefined ? undefined : await this.#authentic(info.key, systemId);
    const candidates = await store.candidates(info.key, { signal });
    const all = [info, ...(authentic === undefined ? [] : [authentic]), ...candidates];
    return [...new Map(all.toReversed().map((one) => [one.version, one])).values()]
      .toReversed()
      .slice(0, MOST_VERSIONS);
  }

  /** `undefined`: none of the versions says that it is this object. */
  async #authentic(key: string, systemId: bigint): Promise<ObjectInfo | undefined> {
    try {
      return (await readStoredHead(this.repository.store, key, { signal: this.signal, systemId }))?.info;
    } catch (error) {
      if (hasCode(error, 'damaged', 'bad-format')) return undefined;
      throw error;
    }
  }
}

const FILE_LANES = 500;
/** Of one name; whoever puts more junk under it shall not have it all locked. */
const MOST_VERSIONS = 4;

export function versionOf(info: ObjectInfo, signal: AbortSignal): { signal: AbortSignal; version?: string } {
  return info.version === undefined ? { signal } : { signal, version: info.version };
}
