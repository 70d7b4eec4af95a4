import type { FakeBucket } from './fake-s3-bucket.ts';
import { refuse, tag, xml, type S3Reply } from './fake-s3-messages.ts';

/** ListObjectsV2. Folded prefixes count as keys do, also towards the page. */
export function listing(bucket: FakeBucket, query: URLSearchParams, pageKeys: number): S3Reply {
  const prefix = query.get('prefix') ?? '';
  const delimiter = query.get('delimiter') ?? '';
  const most = Math.min(pageKeys, Number(query.get('max-keys') ?? '1000'));
  if (most < 1) throw refuse(400, 'InvalidArgument');
  const token = query.get('continuation-token');
  const after = token === null ? (query.get('start-after') ?? '') : Buffer.from(token, 'base64url').toString();
  const names = foldedNames(bucket, prefix, delimiter, after);
  const page = names.slice(0, most);
  const truncated = names.length > page.length;
  const shown = (name: string): string =>
    query.get('encoding-type') === 'url' ? encodeURIComponent(name).replaceAll('%2F', '/') : name;
  const entries = page.map((name) => {
    const version = bucket.current(name);
    if (delimiter !== '' && name.endsWith(delimiter))
      return `<CommonPrefixes>${tag('Prefix', shown(name))}</CommonPrefixes>`;
    const facts = tag('LastModified', version?.storedAt.toISOString() ?? '') + tag('ETag', version?.etag ?? '');
    return `<Contents>${tag('Key', shown(name))}${facts}${tag('Size', version?.bytes?.byteLength ?? 0)}</Contents>`;
  });
  const next = truncated ? tag('NextContinuationToken', Buffer.from(page.at(-1) ?? '').toString('base64url')) : '';
  const encoding = query.get('encoding-type') === 'url' ? tag('EncodingType', 'url') : '';
  const facts = tag('KeyCount', page.length) + tag('IsTruncated', truncated) + encoding + next;
  return { status: 200, body: xml('ListBucketResult', facts + entries.join('')) };
}

function foldedNames(bucket: FakeBucket, prefix: string, delimiter: string, after: string): string[] {
  const names = new Set<string>();
  for (const key of bucket.keys) {
    if (!key.startsWith(prefix) || key <= after) continue;
    const cut = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
    const name = cut < 0 ? key : key.slice(0, cut + 1);
    // A token names the last entry; one that folds does not come again.
    if (name > after || !after.startsWith(name)) names.add(name);
  }
  return [...names].sort();
}
