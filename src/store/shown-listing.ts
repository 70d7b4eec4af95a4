import type { ListEntry, ListOptions } from './store.ts';

/** A name that a listing came by; without an `entry` it is not to be seen. */
export interface PassedName {
  /** A key, or the prefix of a directory that the store has folded. */
  key: string;
  entry: ListEntry | undefined;
}

/** So many names of a directory that is told already are passed over before a new listing begins behind it: one page of a store. */
const PASSED_OVER = 1000;

/**
 * `Store.list` over names of which not every one is to be seen. `list` gives every name behind `after`, in order. Folding costs up to
 * one request for each directory, and all the requests of a directory in which nothing is to be seen: a store's own folding would
 * tell it nevertheless.
 */
export async function* shownListing(
  list: (after: string | undefined) => AsyncIterable<PassedName>,
  prefix: string,
  { after, delimited, limit = Infinity }: ListOptions,
): AsyncGenerator<ListEntry> {
  if (limit <= 0) return;
  let left = limit;
  for await (const entry of delimited === true ? folded(list, prefix, after) : shown(list(after))) {
    yield entry;
    left -= 1;
    if (left <= 0) return;
  }
}

async function* shown(names: AsyncIterable<PassedName>): AsyncGenerator<ListEntry> {
  for await (const { entry } of names) if (entry !== undefined) yield entry;
}

async function* folded(
  list: (after: string | undefined) => AsyncIterable<PassedName>,
  prefix: string,
  after: string | undefined,
): AsyncGenerator<ListEntry> {
  let from = isDirectoryOf(prefix, after) ? behindDirectory(after) : after;
  for (let ended = false; !ended;) {
    ended = true;
    let told = '';
    let passed = 0;
    for await (const { key, entry } of list(from)) {
      const slash = key.indexOf('/', prefix.length);
      const directory = slash < 0 ? undefined : key.slice(0, slash + 1);
      if (directory !== undefined && directory === told) {
        passed += 1;
        if (passed < PASSED_OVER) continue;
        from = behindDirectory(directory);
        ended = false;
        break;
      }
      if (entry === undefined) continue;
      if (directory === undefined) yield entry;
      else {
        told = directory;
        passed = 0;
        yield { kind: 'directory', prefix: directory };
      }
    }
  }
}

/** Whether `after` is the very entry of a directory that a listing of `prefix` folds. */
function isDirectoryOf(prefix: string, after: string | undefined): after is string {
  return after?.startsWith(prefix) === true && after.indexOf('/', prefix.length) === after.length - 1;
}

/** Sorts behind all that can lie in the directory, and before all that can follow it: no key has a `~`. */
function behindDirectory(prefix: string): string {
  return `${prefix}~`;
}
