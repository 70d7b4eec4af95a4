import type { GcsClient } from './gcs-client.ts';
import { notGcs } from './gcs-errors.ts';
import { gcsObject, infoOf, OBJECT_FIELDS, type GcsObject } from './gcs-object.ts';
import type { GcsPlace } from './gcs-place.ts';
import { nameOfEntry, sortsAfter, startAfter } from './listing-order.ts';
import { isObjectKey } from './object-key.ts';
import { MOST_VERSIONS, type ListEntry, type ListOptions, type VersionEntry } from './store.ts';
import { WalholdError } from '../base/errors.ts';

const PAGE_ITEMS = 1000;

/** Live objects, page by page. Keys that cannot be ours are passed over: the bucket may hold anything. */
export async function* listGcs(
  client: GcsClient,
  place: GcsPlace,
  prefix: string,
  options: ListOptions,
): AsyncGenerator<ListEntry> {
  let left = options.limit ?? Infinity;
  let last = '';
  for await (const entry of entries(client, place, prefix, options, false)) {
    const name = nameOfEntry(entry);
    if (name === last) throw unordered(place, prefix, name, last);
    last = name;
    if (entry.kind === 'directory') yield entry;
    else yield { kind: 'object', ...infoOf(entry.object, entry.key, client.now()) };
    if ((left -= 1) <= 0) return;
  }
}

/**
 * All generations. One that is not current was replaced or deleted; there are no markers. The API lists those of a name by rising
 * generation, which is the order of their making ("Objects: list", `versions`).
 */
export async function* listGcsVersions(
  client: GcsClient,
  place: GcsPlace,
  prefix: string,
  options: ListOptions,
): AsyncGenerator<VersionEntry> {
  let left = options.limit ?? Infinity;
  let last: GcsObject | undefined;
  let count = 0;
  for await (const entry of entries(client, place, prefix, options, true)) {
    // A name is listed whole or not at all: it is whole when another name shows.
    if (left <= 0 && (entry.kind === 'directory' || entry.object.name !== last?.name)) return;
    left -= 1;
    if (entry.kind === 'directory') {
      yield entry;
      continue;
    }
    const { object, key } = entry;
    if (last?.name === object.name && BigInt(object.generation) <= BigInt(last.generation)) {
      throw unordered(place, prefix, `${key} of generation ${object.generation}`, last.generation);
    }
    count = last?.name === object.name ? count + 1 : 1;
    last = object;
    if (count > MOST_VERSIONS) continue;
    const info = infoOf(object, key, client.now());
    yield { kind: 'version', ...info, current: object.live };
  }
}

type Entry = { kind: 'directory'; prefix: string } | { kind: 'object'; key: string; object: GcsObject };

/** What lies in the range asked for, in the order of names. */
async function* entries(
  client: GcsClient,
  place: GcsPlace,
  prefix: string,
  options: ListOptions,
  versions: boolean,
): AsyncGenerator<Entry> {
  let last = '';
  for (let token: string | undefined; ;) {
    const page = await listPage(client, place, prefix, { ...options, versions }, token);
    for (const entry of entriesOf(page, place)) {
      const name = nameOfEntry(entry);
      if (!name.startsWith(prefix) || !sortsAfter(entry, options.after)) continue;
      if (name < last) throw unordered(place, prefix, name, last);
      last = name;
      yield entry;
    }
    token = page.nextPageToken;
    if (token === undefined) return;
  }
}

export interface Page {
  items: readonly unknown[];
  prefixes: readonly string[];
  nextPageToken: string | undefined;
}

async function listPage(
  client: GcsClient,
  place: GcsPlace,
  prefix: string,
  options: ListOptions & { versions: boolean },
  pageToken: string | undefined,
): Promise<Page> {
  const { signal, delimited, limit = Infinity, versions } = options;
  const what = `list ${place.url}/${prefix}`;
  const after = startAfter(prefix, options);
  const query = {
    prefix: place.keyOf(prefix),
    // The key to start after is listed too, and dropped; and one more shows that the last name is whole.
    maxResults: String(Math.min(PAGE_ITEMS, limit + 1)),
    fields: `kind,nextPageToken,prefixes,items(${OBJECT_FIELDS})`,
    ...(versions ? { versions: 'true' } : {}),
    ...(delimited === true ? { delimiter: '/' } : {}),
    ...(pageToken === undefined ? {} : { pageToken }),
    ...(after === undefined ? {} : { startOffset: place.keyOf(after) }),
  };
  const request = { method: 'GET', path: `${place.bucketPath}/o`, query } as const;
  const { body } = await place.ask(what, signal, (once) => client.json(request, once.abortSignal));
  if (!isListing(body)) throw notGcs(what, 'listing');
  // An empty page may have no items at all, and still not be the last.
  const { items = [], prefixes = [], nextPageToken } = body;
  return { items, prefixes, nextPageToken: nextPageToken === '' ? undefined : nextPageToken };
}

/** Without items the kind alone tells a listing from anything else in JSON. */
export function isListing(body: unknown): body is Partial<Page> {
  return typeof body === 'object' && body !== null && (body as { kind?: unknown }).kind === 'storage#objects';
}

function entriesOf(page: Page, place: GcsPlace): Entry[] {
  const found: Entry[] = [];
  for (const item of page.items) {
    const object = gcsObject(item);
    const key = object === undefined ? undefined : place.ownKey(object.name);
    if (object !== undefined && key !== undefined && isObjectKey(key)) found.push({ kind: 'object', key, object });
  }
  for (const name of page.prefixes) {
    const prefix = place.ownKey(name);
    if (prefix?.endsWith('/') === true && isObjectKey(prefix.slice(0, -1))) found.push({ kind: 'directory', prefix });
  }
  // Stable: generations of one name stay as they came.
  return found.sort((a, b) => compare(nameOfEntry(a), nameOfEntry(b)));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function unordered(place: GcsPlace, prefix: string, name: string, last: string): WalholdError {
  return new WalholdError('store-rejected', `could not list ${place.url}/${prefix}`, {
    detail: `${name} came after ${last}`,
    hint: 'Check gcs_endpoint: what answers there does not list in the order of keys and generations.',
  });
}
