/**
 * A bucket with versioning, in memory: what honest writers do goes through `store`, what anybody else does through `put`, `hide` and
 * `expunge`. Every request is counted as the protocols would send it: listings in pages of 1,000 entries.
 */
import { WalholdError } from '../../src/base/errors.ts';
import { abortable } from '../../src/store/abortable.ts';
import { rangeBounds } from '../../src/store/byte-range.ts';
import { requireKeyPrefix, requireObjectKey } from '../../src/store/object-key.ts';
import {
  MOST_VERSIONS,
  type ListEntry,
  type ListOptions,
  type ObjectInfo,
  type OpenedObject,
  type ReadOptions,
  type Store,
  type VersionEntry,
} from '../../src/store/store.ts';

const PAGE = 1000;

export interface MemoryVersion {
  version: string;
  storedAt: Date;
  /** `undefined`: a delete marker. */
  bytes: Buffer | undefined;
}

export interface MemoryBucketSettings {
  /** `gcs`: a deleted name keeps its versions, has no current one, and no marker. */
  kind?: 's3' | 'gcs';
}

export class VersionedMemoryBucket {
  /** As `list wal/`, `versions wal/`, `open wal/a`, `open wal/a@v3`, `stat wal/a`, `create wal/a`; one for each page. */
  readonly requests: string[] = [];
  /** Time of the next write; each write takes a second. */
  now: number = Date.UTC(2026, 0, 1);
  /** What a request, by the text that `requests` has, fails with; nothing: it works. */
  fault: (request: string) => Error | undefined = () => undefined;
  /** Called before a request is answered: for what happens in between. */
  before: (request: string) => void | Promise<void> = () => undefined;

  readonly #kind: 's3' | 'gcs';
  /** Oldest first. */
  readonly #keys = new Map<string, MemoryVersion[]>();
  /** On GCS: names whose newest version is not the current one. */
  readonly #deleted = new Set<string>();
  #serial = 0;
  #sorted: string[] | undefined;

  constructor(settings: MemoryBucketSettings = {}) {
    this.#kind = settings.kind ?? 's3';
  }

  /** An unconditional write. Returns the new version's identifier. */
  put(key: string, content: string | Buffer): string {
    this.#deleted.delete(key);
    return this.#add(key, Buffer.from(content));
  }

  /** Deletes by name: every version stays. Returns the marker's identifier, empty on GCS. */
  hide(key: string): string {
    if (this.#kind === 's3') return this.#add(key, undefined);
    if (this.#keys.has(key)) this.#deleted.add(key);
    return '';
  }

  /** Deletes one version, or marker. */
  expunge(key: string, version: string): void {
    if (this.#kind === 'gcs' && this.#current(key)?.version === version) this.#deleted.add(key);
    const left = (this.#keys.get(key) ?? []).filter((one) => one.version !== version);
    if (left.length > 0) this.#keys.set(key, left);
    else this.#keys.delete(key);
    this.#sorted = undefined;
  }

  /** Every name with its versions and markers, oldest first. */
  get histories(): ReadonlyMap<string, readonly MemoryVersion[]> {
    return this.#keys;
  }

  #add(key: string, bytes: Buffer | undefined): string {
    const version = `v${(this.#serial += 1)}`;
    const storedAt = new Date(this.now);
    this.now += 1000;
    if (!this.#keys.has(key)) this.#sorted = undefined;
    this.#keys.set(key, [...(this.#keys.get(key) ?? []), { version, storedAt, bytes }]);
    return version;
  }

  /** The undecorated store: sees what is current. */
  get store(): Store {
    return {
      url: 'memory://bucket',
      stat: async (key, options) => {
        const found = await this.#find('stat', key, options);
        return found === undefined ? undefined : infoOf(key, found);
      },
      open: async (key, options) => {
        const found = await this.#find('open', key, options);
        if (found === undefined) return undefined;
        const { from, to } = rangeBounds(found.bytes.byteLength, options.range);
        return opened(infoOf(key, found), found.bytes.subarray(from, to), options.signal);
      },
      list: (prefix, options) => this.#list(prefix, options),
      versions: { list: (prefix, options) => this.#listVersions(prefix, options) },
      create: async (key, body, { signal }) => {
        requireObjectKey(key);
        const chunks: Uint8Array[] = [];
        if (body.kind === 'buffer') chunks.push(body.bytes);
        else await pour(body.chunks, chunks, signal);
        await this.#answer(`create ${key}`, signal);
        if (this.#current(key)?.bytes !== undefined) return 'exists';
        this.put(key, Buffer.concat(chunks));
        return 'created';
      },
      close: () => Promise.resolve(),
    };
  }

  #current(key: string): MemoryVersion | undefined {
    return this.#deleted.has(key) ? undefined : this.#keys.get(key)?.at(-1);
  }

  async #answer(request: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.requests.push(request);
    await this.before(request);
    signal.throwIfAborted();
    const error = this.fault(request);
    if (error !== undefined) throw error;
  }

  async #find(
    what: 'stat' | 'open',
    key: string,
    { signal, version }: ReadOptions,
  ): Promise<(MemoryVersion & { bytes: Buffer }) | undefined> {
    requireObjectKey(key);
    await this.#answer(`${what} ${key}${version === undefined ? '' : `@${version}`}`, signal);
    const found =
      version === undefined ? this.#current(key) : this.#keys.get(key)?.find((one) => one.version === version);
    if (found === undefined) return undefined;
    if (found.bytes === undefined) throw new WalholdError('damaged', `could not ${what} ${key}`, { detail: 'hidden' });
    return { ...found, bytes: found.bytes };
  }

  async *#list(prefix: string, options: ListOptions): AsyncGenerator<ListEntry> {
    requireKeyPrefix(prefix);
    yield* this.#pages<ListEntry>(`list ${prefix}`, options, this.#selected(prefix, options, true), (key) => {
      const { bytes, ...found } = this.#current(key) as MemoryVersion;
      return [{ kind: 'object', ...infoOf(key, { ...found, bytes: bytes as Buffer }) }];
    });
  }

  async *#listVersions(prefix: string, options: ListOptions): AsyncGenerator<VersionEntry> {
    requireKeyPrefix(prefix);
    yield* this.#pages<VersionEntry>(`versions ${prefix}`, options, this.#selected(prefix, options, false), (key) => {
      const all = this.#keys.get(key) ?? [];
      return all.slice(0, MOST_VERSIONS).map(({ bytes, ...one }): VersionEntry => {
        const current = this.#current(key)?.version === one.version;
        if (bytes === undefined) return { kind: 'marker', key, ...one, current };
        return { kind: 'version', ...infoOf(key, { ...one, bytes }), version: one.version, current };
      });
    });
  }

  /** Names in order: keys, and directories with their slash. */
  #selected(prefix: string, { after, delimited }: ListOptions, currentOnly: boolean): string[] {
    this.#sorted ??= [...this.#keys.keys()].sort((a, b) => (a < b ? -1 : 1));
    const names: string[] = [];
    for (const key of this.#sorted) {
      if (!key.startsWith(prefix) || (currentOnly && this.#current(key)?.bytes === undefined)) continue;
      if (after !== undefined && key <= after) continue;
      const slash = delimited === true ? key.indexOf('/', prefix.length) : -1;
      const name = slash < 0 ? key : key.slice(0, slash + 1);
      if (name !== names.at(-1) && !(slash >= 0 && name === after)) names.push(name);
    }
    return names;
  }

  async *#pages<T>(
    request: string,
    { signal, limit }: ListOptions,
    names: readonly string[],
    entriesOf: (key: string) => T[],
  ): AsyncGenerator<T | { kind: 'directory'; prefix: string }> {
    if (names.length === 0) await this.#answer(request, signal);
    let delivered = 0;
    for (const name of names) {
      const entries = name.endsWith('/') ? [{ kind: 'directory' as const, prefix: name }] : entriesOf(name);
      for (const entry of entries) {
        if (delivered % PAGE === 0) await this.#answer(request, signal);
        delivered += 1;
        yield entry;
      }
      if (delivered >= (limit ?? Infinity)) return;
    }
  }
}

function infoOf(key: string, { version, storedAt, bytes }: MemoryVersion & { bytes: Buffer }): ObjectInfo {
  return { key, bytes: bytes.byteLength, storedAt, tag: version, version };
}

function opened(info: ObjectInfo, bytes: Buffer, signal: AbortSignal): OpenedObject {
  // eslint-disable-next-line typescript/require-await -- a body that is there at once
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.byteLength; at += 1024 * 1024) {
      signal.throwIfAborted();
      yield bytes.subarray(at, at + 1024 * 1024);
    }
  }
  return { info, chunks: chunks() };
}

async function pour(source: AsyncIterable<Uint8Array>, into: Uint8Array[], signal: AbortSignal): Promise<void> {
  const chunks = source[Symbol.asyncIterator]();
  for (;;) {
    const next = await abortable(signal, chunks.next());
    if (next.done === true) return;
    into.push(next.value);
  }
}
