/**
 * Reading the truth of a store that keeps versions: a name's oldest version, or the oldest of a moment (`asOf`), whatever was put over it
 * or hides it. What nothing here leaves (later versions, delete markers) is told to `onStranger` when it is met, and never obeyed.
 *
 * - `list` is made of the listing of versions, in as many requests. Folded directories are the store's own: one can hold only what
 *   is hidden by markers, or nothing but markers; what lies there, a listing of it tells. With `asOf` they hold something that was there.
 * - `stat` and `open` ask for the current version and list the versions at the same time, so the usual case, where they agree, takes
 *   no longer. The listing goes on through the directory and is remembered: the names that follow cost one request each.
 * - Absence is never remembered, and needs both answers.
 *
 * Where the versions may not, or cannot, be listed, `onBlind` is told once and the current version is all that can be read; with
 * `asOf` that is an error.
 */
import { hasCode, reasonOf, WalholdError } from '../base/errors.ts';
import { isLater, type NameVersion } from './name-history.ts';
import { requireObjectKey } from './object-key.ts';
import type { OpenOptions } from './open-store.ts';
import { shownListing, type PassedName } from './shown-listing.ts';
import type { CallOptions, ListEntry, ListOptions, ObjectInfo, ReadOptions, Store, StoreVersions } from './store.ts';
import { versionLookup, type VersionLookup } from './version-lookup.ts';

export type VersionOptions = Pick<OpenOptions, 'asOf' | 'onStranger' | 'onBlind'>;

/** `store`, which keeps versions, with every reading of the oldest one. Writing and the rest pass through. */
export function withVersions(store: Store & { versions: StoreVersions }, options: VersionOptions = {}): Store {
  const { asOf, onStranger = () => undefined, onBlind = () => undefined } = options;
  const lookup = versionLookup(store.versions, { asOf, onStranger });
  const reader = new OldestReader(store, lookup, asOf, onBlind);
  return {
    ...store,
    stat: (key, asked) =>
      reader.read(key, asked, { ask: (one) => store.stat(key, { ...asked, ...one }), infoOf: (info) => info }),
    open: (key, asked) =>
      reader.read(key, asked, { ask: (one) => store.open(key, { ...asked, ...one }), infoOf: ({ info }) => info }),
    list: (prefix, asked) => reader.list(prefix, asked),
    candidates: (key, asked) => reader.candidates(key, asked),
    report: onStranger,
  };
}

/** One way of reading: `stat` or `open`. */
interface Reading<T> {
  ask: (options: ReadOptions) => Promise<T | undefined>;
  infoOf: (answer: T) => ObjectInfo;
}

/** What is known of a name's versions: all of them, none, or that they may not be seen. */
type Sight = { versions: readonly NameVersion[] } | 'nothing' | 'blind';

class OldestReader {
  readonly #store: Store;
  readonly #lookup: VersionLookup;
  readonly #asOf: Date | undefined;
  readonly #onBlind: (error: unknown) => void;
  #blind = false;

  constructor(store: Store, lookup: VersionLookup, asOf: Date | undefined, onBlind: (error: unknown) => void) {
    this.#store = store;
    this.#lookup = lookup;
    this.#asOf = asOf;
    this.#onBlind = onBlind;
  }

  async read<T>(key: string, options: ReadOptions, reading: Reading<T>): Promise<T | undefined> {
    requireObjectKey(key);
    const { signal } = options;
    if (options.version !== undefined) return reading.ask({ signal });
    const known = this.#lookup.recall(key);
    if (known?.current === false) return this.#readVersion(key, known, reading, signal);
    const guess = new Guess(reading.ask, signal);
    let guessed = false;
    try {
      const sight = known === undefined ? await this.#look(key, guess, signal) : { versions: [known] };
      if (await this.#isTrue(guess, sight, reading.infoOf)) {
        guessed = true;
        return valueOf(await guess.outcome);
      }
      if (typeof sight === 'string' || sight.versions.length === 0) return undefined;
    } finally {
      if (!guessed) guess.stop();
    }
    // What was remembered may be of yesterday; and who came since has to be told.
    if (known !== undefined) this.#lookup.forget(key);
    return this.#readVersion(key, this.#lookup.recall(key), reading, signal);
  }

  #look<T>(key: string, guess: Guess<T>, signal: AbortSignal): Promise<Sight> {
    return this.#sighted<Sight, Sight>(
      async () => {
        const history = await this.#lookup.historyAhead(key, { signal });
        if (history !== undefined || (await guess.outcome).kind !== 'found') return history ?? 'nothing';
        // Created in between, unless a second listing lacks it too: there are servers that take the question for another one.
        const again = await this.#lookup.historyAhead(key, { signal });
        if (again === undefined) throw listsNone(this.#store.url, key);
        return again;
      },
      async () => {
        const answer = await guess.outcome;
        if (answer.kind === 'failed' && hasCode(answer.error, 'denied')) throw answer.error;
        return 'blind';
      },
    );
  }

  /** Whether the answer to the guess (an error, too) is the answer. Otherwise it is the oldest of the versions, or `undefined`. */
  async #isTrue<T>(guess: Guess<T>, sight: Sight, infoOf: (value: T) => ObjectInfo): Promise<boolean> {
    if (sight === 'blind') return true;
    const oldest = sight === 'nothing' ? undefined : sight.versions[0];
    if (oldest === undefined ? sight !== 'nothing' && this.#asOf !== undefined : !oldest.current) return false;
    const answer = await guess.outcome;
    if (answer.kind === 'failed') return sight === 'nothing' || !isRefusal(answer.error);
    if (oldest !== undefined) return answer.kind === 'found' && isSame(infoOf(answer.value), oldest.info);
    // Created in between, unless the moment that is read is before that.
    return answer.kind === 'absent' || !isLater(infoOf(answer.value), this.#asOf);
  }

  /** `oldest`, or what a new listing finds in its place if that is not known or gone. */
  async #readVersion<T>(
    key: string,
    oldest: NameVersion | undefined,
    reading: Reading<T>,
    signal: AbortSignal,
  ): Promise<T | undefined> {
    for (const known of [oldest, undefined]) {
      const wanted = known ?? (await this.#lookup.historyAhead(key, { signal }))?.versions[0];
      if (wanted === undefined) return undefined;
      const found = await reading.ask({ signal, version: wanted.info.version });
      if (found !== undefined) return found;
      this.#lookup.forget(key);
    }
    throw new WalholdError('unreachable', `could not read ${this.#store.url}/${key}`, {
      detail: 'the store lists a version of it, then does not have it',
    });
  }

  async *list(prefix: string, options: ListOptions): AsyncGenerator<ListEntry> {
    const entries = this.#listOldest(prefix, options);
    const first = await this.#sighted(
      () => entries.next(),
      () => Promise.resolve(undefined),
    );
    if (first === undefined) {
      yield* this.#store.list(prefix, options);
      return;
    }
    if (first.done === true) return;
    yield first.value;
    yield* entries;
  }

  #listOldest(prefix: string, options: ListOptions): AsyncGenerator<ListEntry> {
    if (this.#asOf === undefined || options.delimited !== true) {
      const names = (): AsyncIterable<PassedName> => passed(this.#lookup.histories(prefix, options));
      return shownListing(names, prefix, { ...options, delimited: false });
    }
    const { signal } = options;
    const names = (after: string | undefined): AsyncIterable<PassedName> =>
      passed(this.#lookup.histories(prefix, after === undefined ? { signal } : { signal, after }));
    return shownListing(names, prefix, options);
  }

  async candidates(key: string, options: CallOptions): Promise<readonly ObjectInfo[]> {
    requireObjectKey(key);
    return this.#sighted(
      async () => (await this.#lookup.history(key, options))?.versions.map(({ info }) => info) ?? [],
      async () => {
        const current = await this.#store.stat(key, options);
        return current === undefined ? [] : [current];
      },
    );
  }

  /** What `look` finds by listing versions, or, where they are hidden from these credentials, what `current` does. */
  async #sighted<A, B>(look: () => Promise<A>, current: () => Promise<B>): Promise<A | B> {
    if (this.#blind) return current();
    try {
      return await look();
    } catch (error) {
      if (!hasCode(error, 'denied', 'unsupported')) throw error;
      if (this.#asOf !== undefined) throw cannotGoBack(this.#store.url, this.#asOf, error);
      const found = await current();
      // Only now: credentials that may read nothing are no reason to trust less from then on.
      if (!this.#blind) this.#onBlind(error);
      this.#blind = true;
      return found;
    }
  }
}

type Outcome<T> = { kind: 'found'; value: T } | { kind: 'absent' } | { kind: 'failed'; error: unknown };

/** The current version, asked for before it is known whether it is the one to be read. */
class Guess<T> {
  /** Never rejects. */
  readonly outcome: Promise<Outcome<T>>;
  readonly #stopping = new AbortController();

  constructor(ask: Reading<T>['ask'], signal: AbortSignal) {
    this.outcome = ask({ signal: AbortSignal.any([signal, this.#stopping.signal]) }).then(
      (value): Outcome<T> => (value === undefined ? { kind: 'absent' } : { kind: 'found', value }),
      (error: unknown): Outcome<T> => ({ kind: 'failed', error }),
    );
  }

  /** Breaks off the request, or the body that nobody will read. */
  stop(): void {
    this.#stopping.abort(new WalholdError('interrupted', 'another version is read'));
  }
}

function valueOf<T>(outcome: Outcome<T>): T | undefined {
  if (outcome.kind === 'failed') throw outcome.error;
  return outcome.kind === 'found' ? outcome.value : undefined;
}

/** An answer about the current version that says nothing of older ones: hidden by a marker, another's key, another's storage class. */
function isRefusal(error: unknown): boolean {
  return hasCode(error, 'denied', 'damaged', 'store-rejected', 'unsupported');
}

/** Where a store names no version in its answers, equal tags mean equal bytes. */
function isSame(answer: ObjectInfo, oldest: ObjectInfo & { version: string }): boolean {
  return answer.version === undefined ? answer.tag === oldest.tag : answer.version === oldest.version;
}

async function* passed(histories: ReturnType<VersionLookup['histories']>): AsyncGenerator<PassedName> {
  for await (const one of histories) {
    if (one.kind === 'directory') yield { key: one.prefix, entry: one };
    else {
      const oldest = one.versions[0];
      yield { key: one.key, entry: oldest === undefined ? undefined : { kind: 'object', ...oldest.info } };
    }
  }
}

function listsNone(url: string, key: string): WalholdError {
  return new WalholdError('unsupported', `could not list the versions in ${url}`, {
    detail: `it holds ${key}, and no version of it`,
  });
}

function cannotGoBack(url: string, asOf: Date, error: WalholdError): WalholdError {
  return new WalholdError(error.code, `could not read ${url} as of ${asOf.toISOString()}`, {
    detail: reasonOf(error) + (error.detail === undefined ? '' : `: ${error.detail}`),
    hint:
      error.code === 'denied'
        ? 'Allow s3:ListBucketVersions and s3:GetObjectVersion on S3, storage.objects.list on GCS.'
        : 'This server does not list versions; only what is current can be read there.',
    cause: error,
  });
}
