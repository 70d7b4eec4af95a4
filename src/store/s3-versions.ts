import {
  ListObjectVersionsCommand,
  type DeleteMarkerEntry,
  type ListObjectVersionsCommandOutput,
  type ObjectVersion,
  type S3Client,
} from '@aws-sdk/client-s3';
import { WalholdError } from '../base/errors.ts';
import { nameOfEntry, sortsAfter, startAfter } from './listing-order.ts';
import { isObjectKey } from './object-key.ts';
import { answerOf, lacking } from './s3-errors.ts';
import { decoded, unordered } from './s3-list.ts';
import { notS3, tagOf, type S3Place } from './s3-place.ts';
import { MOST_VERSIONS, type ListOptions, type VersionEntry } from './store.ts';

const PAGE_ENTRIES = 1000;

type Entry = Exclude<VersionEntry, { kind: 'directory' }>;

/**
 * ListObjectVersions. S3 gives the versions of a key newest first, over as many pages as they take; they are gathered, at most the
 * oldest `MOST_VERSIONS`, and handed on oldest first. Keys that cannot be ours are passed over.
 */
export async function* listVersions(
  client: S3Client,
  place: S3Place,
  prefix: string,
  options: ListOptions,
): AsyncGenerator<VersionEntry> {
  let left = options.limit ?? Infinity;
  // Newest first.
  let sameKey: Entry[] = [];
  for await (const entry of newestFirst(client, place, prefix, options)) {
    if (entry.kind !== 'directory' && sameKey[0]?.key === entry.key) {
      sameKey.push(entry);
      if (sameKey.length > 2 * MOST_VERSIONS) sameKey = sameKey.slice(-MOST_VERSIONS);
      continue;
    }
    yield* oldestFirst(sameKey);
    left -= sameKey.length;
    sameKey = [];
    if (left <= 0) return;
    if (entry.kind !== 'directory') {
      sameKey = [entry];
      continue;
    }
    yield entry;
    left -= 1;
  }
  yield* oldestFirst(sameKey);
}

function oldestFirst(newest: Entry[]): Entry[] {
  return newest.slice(-MOST_VERSIONS).reverse();
}

/** Page by page, in the order in which S3 has them. */
async function* newestFirst(
  client: S3Client,
  place: S3Place,
  prefix: string,
  options: ListOptions,
): AsyncGenerator<VersionEntry> {
  const { after } = options;
  if (after !== undefined && after > prefix && !after.startsWith(prefix)) return;
  let last: VersionEntry | undefined;
  // Some servers (versitygw) begin a page with the entry that the one before it ended with.
  let endOfBefore: VersionEntry | undefined;
  for (let from: Marker | undefined; ;) {
    const page = await listPage(client, place, prefix, options, from);
    for (const entry of entriesOf(page, place)) {
      const name = nameOfEntry(entry);
      if (!name.startsWith(prefix) || !sortsAfter(entry, after)) continue;
      if (endOfBefore !== undefined && isSame(entry, endOfBefore)) continue;
      if (last !== undefined && !follows(entry, last)) throw unordered(place, prefix, name, nameOfEntry(last));
      last = entry;
      yield entry;
    }
    endOfBefore = last;
    if (page.IsTruncated === false) return;
    from = nextOf(page, from, `list the versions of ${place.url}/${prefix}`);
  }
}

function isSame(a: VersionEntry, b: VersionEntry): boolean {
  return (
    a.kind === b.kind &&
    nameOfEntry(a) === nameOfEntry(b) &&
    (a.kind === 'directory' || a.version === (b as Entry).version)
  );
}

/** A key may have many versions; a directory comes once, and no key is called as one. */
function follows(entry: VersionEntry, last: VersionEntry): boolean {
  const [name, before] = [nameOfEntry(entry), nameOfEntry(last)];
  return name > before || (name === before && entry.kind !== 'directory' && last.kind !== 'directory');
}

interface Marker {
  KeyMarker: string;
  VersionIdMarker?: string;
}

/** Without a version, a marker means all of that key. */
function nextOf(page: ListObjectVersionsCommandOutput, before: Marker | undefined, what: string): Marker {
  const { NextKeyMarker, NextVersionIdMarker, EncodingType } = page;
  if (NextKeyMarker === undefined || NextKeyMarker === '') throw notS3(what, 'word on whether there is more');
  const next = {
    KeyMarker: decoded(NextKeyMarker, EncodingType),
    ...(NextVersionIdMarker === undefined || NextVersionIdMarker === ''
      ? {}
      : { VersionIdMarker: NextVersionIdMarker }),
  };
  if (next.KeyMarker === before?.KeyMarker && next.VersionIdMarker === before.VersionIdMarker) {
    throw notS3(what, 'end: it points to itself');
  }
  return next;
}

async function listPage(
  client: S3Client,
  place: S3Place,
  prefix: string,
  options: ListOptions,
  from: Marker | undefined,
): Promise<ListObjectVersionsCommandOutput> {
  const { signal, delimited, limit = Infinity } = options;
  const start = startAfter(prefix, options);
  // Before all that is listed; MinIO refuses such a marker.
  const after = start?.startsWith(prefix) === true ? start : undefined;
  const command = new ListObjectVersionsCommand({
    Bucket: place.bucket,
    Prefix: place.keyOf(prefix),
    // One more than is wanted shows that the last key is whole. Of a key with many versions the rest comes in large pages.
    MaxKeys: from === undefined ? Math.min(PAGE_ENTRIES, limit + 1) : PAGE_ENTRIES,
    EncodingType: 'url',
    ...(delimited === true ? { Delimiter: '/' } : {}),
    ...(after === undefined ? {} : { KeyMarker: place.keyOf(after) }),
    ...from,
  });
  try {
    const what = `list the versions of ${place.url}/${prefix}`;
    return await place.ask(what, signal, (once) => client.send(command, once));
  } catch (error) {
    const status = answerOf(error)?.status;
    if (error instanceof WalholdError && (status === 501 || status === 405)) {
      const { message, detail = '' } = error;
      throw new WalholdError('unsupported', message, { detail, cause: error });
    }
    throw lacking(error, 's3:ListBucketVersions');
  }
}

function entriesOf(page: ListObjectVersionsCommandOutput, place: S3Place): VersionEntry[] {
  const ours = <T extends { Key?: string | undefined }>(found: T[] | undefined): (T & { key: string })[] =>
    (found ?? []).flatMap((one) => {
      const key = place.ownKey(decoded(one.Key, page.EncodingType));
      return key !== undefined && isObjectKey(key) ? [{ ...one, key }] : [];
    });
  const entries: VersionEntry[] = merged(
    ours(page.Versions).flatMap((one) => versionOf(one) ?? []),
    ours(page.DeleteMarkers).flatMap((one) => markerOf(one) ?? []),
  );
  for (const { Prefix } of page.CommonPrefixes ?? []) {
    const prefix = place.ownKey(decoded(Prefix, page.EncodingType));
    if (prefix?.endsWith('/') === true && isObjectKey(prefix.slice(0, -1))) entries.push({ kind: 'directory', prefix });
  }
  // Stable: what is of one key stays in its order.
  return entries.sort((a, b) => (nameOfEntry(a) < nameOfEntry(b) ? -1 : nameOfEntry(a) > nameOfEntry(b) ? 1 : 0));
}

/**
 * Versions and markers come apart, each in the order of their making, which is to be kept: dates are too coarse for it, and S3
 * dates a multipart object by its beginning. Between the two kinds there is nothing but the dates and which is the current one; a
 * marker of the same second is taken for the later, since it hides something.
 */
function merged(versions: Entry[], markers: Entry[]): Entry[] {
  const entries: Entry[] = [];
  let at = 0;
  for (const version of versions) {
    for (let marker = markers[at]; marker !== undefined && comesFirst(marker, version); marker = markers[at]) {
      entries.push(marker);
      at += 1;
    }
    entries.push(version);
  }
  return [...entries, ...markers.slice(at)];
}

function comesFirst(marker: Entry, version: Entry): boolean {
  if (marker.key !== version.key) return marker.key < version.key;
  return marker.current || (!version.current && marker.storedAt >= version.storedAt);
}

function versionOf(found: ObjectVersion & { key: string }): Entry | undefined {
  const { key, VersionId, Size, LastModified, ETag, IsLatest } = found;
  if (VersionId === undefined || Size === undefined || LastModified === undefined) return undefined;
  const info = { key, bytes: Size, storedAt: LastModified, tag: tagOf(ETag, Size, LastModified) };
  return { kind: 'version', version: VersionId, current: IsLatest === true, ...info };
}

function markerOf({ key, VersionId, LastModified, IsLatest }: DeleteMarkerEntry & { key: string }): Entry | undefined {
  if (VersionId === undefined || LastModified === undefined) return undefined;
  return { kind: 'marker', key, version: VersionId, storedAt: LastModified, current: IsLatest === true };
}
