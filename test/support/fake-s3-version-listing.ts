import type { FakeS3 } from './fake-s3.ts';
import type { FakeBucket, FakeVersion } from './fake-s3-bucket.ts';
import { refuse, tag, xml, type S3Reply } from './fake-s3-messages.ts';

/** One entry of a listing: a version, a marker, or a folded prefix. */
interface Item {
  name: string;
  version?: FakeVersion;
  current?: boolean;
}

/** ListObjectVersions: by key, of one key the newest first; a page may end inside a key. */
export function versionListing(fake: FakeS3, bucket: FakeBucket, query: URLSearchParams): S3Reply {
  const pageKeys = fake.options.pageKeys ?? 1000;
  const most = Math.min(pageKeys, Number(query.get('max-keys') ?? '1000'));
  const keyMarker = query.get('key-marker') ?? '';
  const versionMarker = query.get('version-id-marker');
  if (most < 1 || (versionMarker !== null && keyMarker === '')) throw refuse(400, 'InvalidArgument');
  const names = { prefix: query.get('prefix') ?? '', delimiter: query.get('delimiter') ?? '' };
  const items = itemsOf(fake, bucket, names, keyMarker, versionMarker);
  const page = items.slice(0, most);
  const shown = (name: string): string =>
    query.get('encoding-type') === 'url' ? encodeURIComponent(name).replaceAll('%2F', '/') : name;
  const last = items.length > page.length ? page.at(-1) : undefined;
  const facts = [
    tag('KeyMarker', shown(keyMarker)),
    tag('VersionIdMarker', versionMarker ?? ''),
    tag('IsTruncated', last !== undefined),
    query.get('encoding-type') === 'url' ? tag('EncodingType', 'url') : '',
    last === undefined ? '' : tag('NextKeyMarker', shown(last.name)),
    last?.version === undefined ? '' : tag('NextVersionIdMarker', last.version.id),
  ];
  return {
    status: 200,
    body: xml('ListVersionsResult', [...facts, ...page.map((item) => itemXml(item, shown))].join('')),
  };
}

function itemXml({ name, version, current }: Item, shown: (name: string) => string): string {
  if (version === undefined) return `<CommonPrefixes>${tag('Prefix', shown(name))}</CommonPrefixes>`;
  const facts = [
    tag('Key', shown(name)),
    tag('VersionId', version.id),
    tag('IsLatest', current === true),
    tag('LastModified', version.storedAt.toISOString()),
  ].join('');
  if (version.bytes === undefined) return `<DeleteMarker>${facts}</DeleteMarker>`;
  return `<Version>${facts}${tag('ETag', version.etag)}${tag('Size', version.bytes.byteLength)}</Version>`;
}

function itemsOf(
  fake: FakeS3,
  bucket: FakeBucket,
  { prefix, delimiter }: { prefix: string; delimiter: string },
  keyMarker: string,
  versionMarker: string | null,
): Item[] {
  const items: Item[] = [];
  for (const key of [...bucket.versions.keys()].sort()) {
    if (!key.startsWith(prefix) || key < keyMarker) continue;
    const cut = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
    const name = cut < 0 ? key : key.slice(0, cut + 1);
    if (cut >= 0) {
      if (key > keyMarker && name !== keyMarker && items.at(-1)?.name !== name) items.push({ name });
      continue;
    }
    const newestFirst = (bucket.versions.get(key) ?? []).toReversed();
    const shown = newestFirst.map((version, at) => ({ name, version, current: at === 0 }));
    if (key > keyMarker) items.push(...shown);
    else if (versionMarker !== null) {
      const at = newestFirst.findIndex(({ id }) => id === versionMarker);
      if (at < 0) throw refuse(400, 'InvalidArgument');
      items.push(...shown.slice(fake.breaks('version-markers') ? at : at + 1));
    }
  }
  return items;
}
