/** Random histories, read by readers that live through them, against the obvious reading of the whole history. */
import { expect, it } from 'vitest';
import type { ListOptions, Store } from '../../../src/store/store.ts';
import { withVersions } from '../../../src/store/with-versions.ts';
import { bytesOf, collected } from '../../support/bytes.ts';
import { seededNumbers } from '../../support/killer.ts';
import { VersionedMemoryBucket, type MemoryVersion } from '../../support/versioned-memory-store.ts';

const { signal } = new AbortController();
const KEYS = ['a', 'a-b', 'a/b', 'a/b-', 'a/b.c/d', 'a/b/c', 'a/b/d', 'a0', 'b/c', 'b/d/e', 'c'];
const MOMENTS = 40;

interface Reader {
  store: Store;
  asOf: Date | undefined;
  told: Set<string>;
}

function readerOf(bucket: VersionedMemoryBucket, asOf: Date | undefined): Reader {
  const told = new Set<string>();
  const { versions, ...plain } = bucket.store;
  const store = withVersions(
    { ...plain, versions: versions as NonNullable<typeof versions> },
    {
      asOf,
      onStranger({ kind, key, version }) {
        if (told.has(`${kind} ${key}@${version}`)) throw new Error(`${kind} ${key}@${version} was told twice`);
        told.add(`${kind} ${key}@${version}`);
      },
    },
  );
  return { store, asOf, told };
}

/** The versions of a name that count, oldest first; and the entries that are nobody's of ours. */
function truth(bucket: VersionedMemoryBucket, key: string, { asOf }: Reader): MemoryVersion[] {
  return entries(bucket, key, asOf).filter(({ bytes }) => bytes !== undefined);
}

function entries(bucket: VersionedMemoryBucket, key: string, asOf: Date | undefined): MemoryVersion[] {
  return (bucket.histories.get(key) ?? []).filter(({ storedAt }) => asOf === undefined || storedAt <= asOf);
}

function listing(
  bucket: VersionedMemoryBucket,
  reader: Reader,
  prefix: string,
  options: Partial<ListOptions>,
): string[] {
  const { after, delimited } = options;
  const found = new Set<string>();
  for (const key of [...bucket.histories.keys()].sort((a, b) => (a < b ? -1 : 1))) {
    if (!key.startsWith(prefix) || (after !== undefined && key <= after)) continue;
    const slash = delimited === true ? key.indexOf('/', prefix.length) : -1;
    const [oldest] = truth(bucket, key, reader);
    // Without a moment the store's own folding counts, which markers alone can make.
    const shown = slash >= 0 && reader.asOf === undefined ? true : oldest !== undefined;
    const folded = key.slice(0, slash + 1);
    if (shown && !(slash >= 0 && folded === after)) found.add(slash < 0 ? `${key}@${oldest?.version}` : folded);
  }
  return [...found];
}

const RUNS = [1, 2, 3, 4, 5, 6].flatMap((seed) => (['s3', 'gcs'] as const).map((kind) => [kind, seed] as const));

it.each(RUNS)('every reading of a random history on %s is of the oldest version (seed %i)', async (kind, seed) => {
  const number = seededNumbers(seed * 7919);
  const pick = <T>(from: readonly T[]): T => from[number(from.length)] as T;
  const bucket = new VersionedMemoryBucket({ kind });
  const start = bucket.now;
  const readers = [undefined, 5, 15, 30].map((at) =>
    readerOf(bucket, at === undefined ? undefined : new Date(start + at * 1000)),
  );
  const meddle = (): void => {
    const key = pick(KEYS);
    const what = number(100);
    if (what < 55) bucket.put(key, `${key} ${bucket.now}`);
    else if (what < 75) bucket.hide(key);
    else {
      const one = bucket.histories.get(key);
      if (one !== undefined) bucket.expunge(key, pick(one).version);
    }
  };
  for (let moment = 0; moment < MOMENTS; moment += 1) {
    meddle();
    for (const reader of readers) {
      const key = pick(KEYS);
      const [oldest] = truth(bucket, key, reader);
      const opened = await reader.store.open(key, { signal });
      expect(opened?.info.version, `open ${key}`).toBe(oldest?.version);
      if (opened !== undefined) expect(await bytesOf(opened.chunks)).toEqual(oldest?.bytes);
      const other = pick(KEYS);
      const known = await reader.store.stat(other, { signal });
      expect(known?.version, `stat ${other}`).toBe(truth(bucket, other, reader)[0]?.version);
      const candidates = await reader.store.candidates?.(other, { signal });
      expect(candidates?.map(({ version }) => version)).toEqual(
        truth(bucket, other, reader).map(({ version }) => version),
      );
      const prefix = pick(['', 'a', 'a/', 'a/b', 'b/', 'b/d/']);
      const after = pick([undefined, ...KEYS, 'a/', 'a/b/', 'b/', 'b/c0']);
      const options = { delimited: number(2) === 0, ...(after === undefined ? {} : { after }) };
      const expected = listing(bucket, reader, prefix, options);
      const limit = pick([undefined, 1, 2, 3]);
      const some = await collected(
        reader.store.list(prefix, { signal, ...options, ...(limit === undefined ? {} : { limit }) }),
      );
      const found = some.map((entry) => (entry.kind === 'object' ? `${entry.key}@${entry.version}` : entry.prefix));
      const about = `list ${prefix} ${JSON.stringify({ ...options, limit })}`;
      expect(found, about).toEqual(limit === undefined ? expected : expected.slice(0, found.length));
      expect(found.length, about).toBeGreaterThanOrEqual(Math.min(limit ?? 0, expected.length));
    }
  }
  // Whatever is a stranger in the end was told by a listing of everything.
  for (const reader of readers) {
    await collected(reader.store.list('', { signal }));
    for (const key of KEYS) {
      const [oldest] = truth(bucket, key, reader);
      const strangers = entries(bucket, key, reader.asOf).filter((one) => one !== oldest);
      for (const { version, bytes } of strangers) {
        expect(reader.told).toContain(`${bytes === undefined ? 'delete-marker' : 'later-version'} ${key}@${version}`);
      }
    }
  }
});
