import { byBytes, type FakeGcsBucket, type FakeGeneration } from './fake-gcs-bucket.ts';

/** The parameters of "Objects: list". */
export interface GcsListing {
  prefix: string;
  delimiter: string;
  startOffset: string;
  endOffset: string;
  versions: boolean;
  /** Where the page before ended: after so many entries. */
  skip: number;
  most: number;
}

export function listedPage(bucket: FakeGcsBucket, listing: GcsListing): Record<string, unknown> {
  const all = foldedEntries(bucket, listing);
  const page = all.slice(listing.skip, listing.skip + listing.most);
  const next = listing.skip + page.length;
  const items = page.flatMap((entry) => (typeof entry === 'string' ? [] : [bucket.resource(entry)]));
  const prefixes = page.filter((entry) => typeof entry === 'string');
  return {
    kind: 'storage#objects',
    ...(items.length === 0 ? {} : { items }),
    ...(prefixes.length === 0 ? {} : { prefixes }),
    ...(next < all.length ? { nextPageToken: Buffer.from(String(next)).toString('base64') } : {}),
  };
}

export function tokenOf(text: string | null): number {
  return text === null ? 0 : Number(Buffer.from(text, 'base64').toString());
}

/** Objects, and the prefixes they are folded into, in the order of their names. */
function foldedEntries(bucket: FakeGcsBucket, listing: GcsListing): (FakeGeneration | string)[] {
  const { prefix, delimiter, startOffset, endOffset, versions } = listing;
  const entries: (FakeGeneration | string)[] = [];
  for (const name of [...bucket.generations.keys()].sort(byBytes)) {
    if (!name.startsWith(prefix) || byBytes(name, startOffset) < 0) continue;
    if (endOffset !== '' && byBytes(name, endOffset) >= 0) continue;
    const shown = (bucket.generations.get(name) ?? []).filter((one) => versions || one.deletedMs === undefined);
    if (shown.length === 0) continue;
    const cut = delimiter === '' ? -1 : name.indexOf(delimiter, prefix.length);
    const folded = cut < 0 ? undefined : name.slice(0, cut + delimiter.length);
    if (folded === undefined) entries.push(...shown);
    else if (entries.at(-1) !== folded) entries.push(folded);
  }
  return entries;
}
