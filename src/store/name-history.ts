import { MOST_VERSIONS, type ObjectInfo, type Stranger, type VersionEntry } from './store.ts';

/** One version of a name. */
export interface NameVersion {
  info: ObjectInfo & { version: string };
  /** The store itself shows this one. */
  current: boolean;
}

/** All that a listing of versions says of one name, judged. */
export interface NameHistory {
  kind: 'name';
  key: string;
  /** Oldest first; readers believe the first. None: only markers, or only what is later than the moment read. */
  versions: readonly NameVersion[];
  /** What nothing here leaves, oldest first. */
  strangers: readonly Stranger[];
}

/**
 * Judges a listing of versions name by name; directories pass through. With `asOf` nothing that was stored after that moment counts,
 * nor is it a stranger. A name that was hidden without a marker bears no date, so with `asOf` that is not told.
 */
export async function* nameHistories(
  entries: AsyncIterable<VersionEntry>,
  asOf: Date | undefined,
): AsyncGenerator<NameHistory | { kind: 'directory'; prefix: string }> {
  let name: NameInProgress | undefined;
  for await (const entry of entries) {
    if (entry.kind !== 'directory' && entry.key === name?.key) {
      name.add(entry);
      continue;
    }
    if (name !== undefined) yield name.history();
    if (entry.kind === 'directory') {
      name = undefined;
      yield entry;
    } else {
      name = new NameInProgress(entry.key, asOf);
      name.add(entry);
    }
  }
  if (name !== undefined) yield name.history();
}

class NameInProgress {
  readonly key: string;
  readonly #asOf: Date | undefined;
  readonly #versions: NameVersion[] = [];
  readonly #strangers: Stranger[] = [];
  #entries = 0;
  /** The store shows something under the name, or says by a marker that it is hidden. */
  #accounted = false;

  constructor(key: string, asOf: Date | undefined) {
    this.key = key;
    this.#asOf = asOf;
  }

  add(entry: Exclude<VersionEntry, { kind: 'directory' }>): void {
    this.#entries += 1;
    this.#accounted ||= entry.current || entry.kind === 'marker';
    if (isLater(entry, this.#asOf)) return;
    if (entry.kind === 'marker') {
      this.#tell('delete-marker', entry);
      return;
    }
    if (this.#versions.length > 0) this.#tell('later-version', entry);
    const { kind: _, current, ...info } = entry;
    this.#versions.push({ info, current });
  }

  history(): NameHistory {
    const [oldest] = this.#versions;
    const cutShort = this.#entries >= MOST_VERSIONS;
    if (oldest !== undefined && !this.#accounted && !cutShort && this.#asOf === undefined) {
      this.#tell('hidden', oldest.info);
    }
    return { kind: 'name', key: this.key, versions: this.#versions, strangers: this.#strangers };
  }

  #tell(kind: Stranger['kind'], { version, storedAt }: { version: string; storedAt: Date }): void {
    this.#strangers.push({ kind, key: this.key, version, storedAt });
  }
}

/** Whether it was stored after the moment that is read. */
export function isLater({ storedAt }: { storedAt: Date }, asOf: Date | undefined): boolean {
  return asOf !== undefined && storedAt > asOf;
}
