import { ListObjectsV2Command, type ListObjectsV2CommandOutput, type S3Client } from '@aws-sdk/client-s3';
import { WalholdError } from '../base/errors.ts';
import { nameOfEntry, sortsAfter, startAfter } from './listing-order.ts';
import { isObjectKey } from './object-key.ts';
import type { S3Place } from './s3-place.ts';
import { notS3, tagOf } from './s3-place.ts';
import type { ListEntry, ListOptions } from './store.ts';

const PAGE_KEYS = 1000;

/** ListObjectsV2 page by page. Keys that cannot be ours are passed over: the bucket may hold anything. */
export async function* listS3(
  client: S3Client,
  place: S3Place,
  prefix: string,
  options: ListOptions,
): AsyncGenerator<ListEntry> {
  let left = options.limit ?? Infinity;
  let last = '';
  for (let token: string | undefined; left > 0;) {
    const page = await listPage(client, place, prefix, { ...options, limit: left }, token);
    for (const entry of entriesOf(page, place)) {
      const name = nameOfEntry(entry);
      if (!name.startsWith(prefix) || !sortsAfter(entry, options.after)) continue;
      if (name <= last) throw unordered(place, prefix, name, last);
      last = name;
      yield entry;
      left -= 1;
    }
    if (page.IsTruncated === false) return;
    token = page.NextContinuationToken;
    if (token === undefined) throw notS3(`list ${place.url}/${prefix}`, 'word on whether there is more');
  }
}

function listPage(
  client: S3Client,
  place: S3Place,
  prefix: string,
  options: ListOptions & { limit: number },
  token: string | undefined,
): Promise<ListObjectsV2CommandOutput> {
  const { signal, delimited, limit } = options;
  const after = startAfter(prefix, options);
  const command = new ListObjectsV2Command({
    Bucket: place.bucket,
    Prefix: place.keyOf(prefix),
    MaxKeys: Math.min(PAGE_KEYS, limit),
    // Somebody else's key can hold characters that no XML can carry.
    EncodingType: 'url',
    ...(delimited === true ? { Delimiter: '/' } : {}),
    ...(token === undefined ? {} : { ContinuationToken: token }),
    ...(token !== undefined || after === undefined ? {} : { StartAfter: place.keyOf(after) }),
  });
  return place.ask(`list ${place.url}/${prefix}`, signal, (once) => client.send(command, once));
}

function entriesOf(page: ListObjectsV2CommandOutput, place: S3Place): ListEntry[] {
  const entries: ListEntry[] = [];
  for (const { Key, Size, LastModified, ETag } of page.Contents ?? []) {
    const key = place.ownKey(decoded(Key, page.EncodingType));
    if (key === undefined || !isObjectKey(key) || Size === undefined || LastModified === undefined) continue;
    entries.push({ kind: 'object', key, bytes: Size, storedAt: LastModified, tag: tagOf(ETag, Size, LastModified) });
  }
  for (const { Prefix } of page.CommonPrefixes ?? []) {
    const prefix = place.ownKey(decoded(Prefix, page.EncodingType));
    if (prefix?.endsWith('/') === true && isObjectKey(prefix.slice(0, -1))) entries.push({ kind: 'directory', prefix });
  }
  return entries.sort((a, b) => (nameOfEntry(a) < nameOfEntry(b) ? -1 : 1));
}

/** Empty for a name that cannot be read: it is none of ours. */
export function decoded(name: string | undefined, encoding: string | undefined): string {
  if (name === undefined || encoding !== 'url') return name ?? '';
  try {
    return decodeURIComponent(name.replaceAll('+', ' '));
  } catch {
    return '';
  }
}

export function unordered(place: S3Place, prefix: string, name: string, last: string): WalholdError {
  return new WalholdError('store-rejected', `could not list ${place.url}/${prefix}`, {
    detail: `${name} came after ${last}`,
    hint: 'This store does not list in the order of keys (directory buckets do not); use another kind of bucket.',
  });
}
