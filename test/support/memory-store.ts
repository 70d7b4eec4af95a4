import { WalholdError } from '../../src/base/errors.ts';
import type {
  BucketProtection,
  ListEntry,
  ListOptions,
  LockRequest,
  ObjectInfo,
  Protection,
  RemovingStore,
  Retention,
  Store,
  StoreLocks,
  VersionEntry,
} from '../../src/store/store.ts';
import { bytesOf } from './bytes.ts';

export interface MemoryVersion {
  id: string;
  /** None: a delete marker. */
  bytes: Buffer | undefined;
  storedAt: Date;
  retention: Retention | undefined;
}

export interface MemoryStoreOptions {
  versioned?: boolean;
  /** What `create` does with the lock that it is asked for. */
  locks?: 'kept' | 'dropped' | 'none';
  /** Whether these credentials may lengthen a retention. */
  mayRetain?: boolean;
  mayListVersions?: boolean;
  mayRemove?: boolean;
  mayHide?: boolean;
  overwrites?: 'refused' | 'accepted';
  bucket?: Partial<BucketProtection>;
  skewMs?: number;
}

/** The moment at which everything here happens. */
export const NOW: Date = new Date('2026-06-01T00:00:00.000Z');

/**
 * A bucket in memory as readers see it (of each name the oldest version), with versions, locks and deleting. Options can be changed
 * while it is in use, as rights can.
 */
export class MemoryStore {
  readonly options: MemoryStoreOptions;
  readonly objects: Map<string, MemoryVersion[]> = new Map();
  /** Every call, as `create wal/…`. */
  readonly calls: string[] = [];
  readonly store: Store;
  readonly remover: RemovingStore;
  #versions = 0;

  constructor(options: MemoryStoreOptions = {}, url = 'memory://bucket') {
    this.options = options;
    this.store = this.#makeStore(url);
    this.remover = this.#makeRemover();
  }

  /** Stores whatever it is, as anybody with the right to write may. `undefined`: a delete marker. */
  put(key: string, bytes: Uint8Array | undefined, { retention, storedAt = NOW }: Partial<MemoryVersion> = {}): string {
    const id = `v${(this.#versions += 1)}`;
    const version = { id, bytes: bytes === undefined ? undefined : Buffer.from(bytes), storedAt, retention };
    const before = this.options.versioned === true ? (this.objects.get(key) ?? []) : [];
    this.objects.set(key, [...before, version]);
    return id;
  }

  /** The bytes that readers get. */
  content(key: string): Buffer | undefined {
    return this.#oldest(key)?.bytes;
  }

  #oldest(key: string, id?: string): MemoryVersion | undefined {
    return this.objects.get(key)?.find((version) => version.bytes !== undefined && (id ?? version.id) === version.id);
  }

  /** What locks are about, unless a version is named. */
  #current(key: string, id?: string): MemoryVersion | undefined {
    return this.objects.get(key)?.findLast((version) => (id ?? version.id) === version.id);
  }

  #info(key: string, { id, bytes, storedAt }: MemoryVersion): ObjectInfo {
    const version = this.options.versioned === true ? { version: id } : {};
    return { key, bytes: bytes?.length ?? 0, storedAt, tag: id, ...version };
  }

  #retentionOf(lock: LockRequest | undefined): Retention | undefined {
    if (lock === undefined || this.options.locks !== 'kept') return undefined;
    const mode = lock.mode === 'bucket' ? 'governance' : lock.mode;
    return { mode, until: new Date(NOW.getTime() + lock.periodMs) };
  }

  #makeStore(url: string): Store {
    const { options } = this;
    const called = (what: string): void => void this.calls.push(what);
    return {
      url,
      stat: async (key, { version }) => {
        called(`stat ${key}`);
        const found = this.#oldest(key, version);
        return found === undefined ? undefined : this.#info(key, found);
      },
      open: async (key, { version, range }) => {
        called(`open ${key}`);
        const found = this.#oldest(key, version);
        if (found?.bytes === undefined) return undefined;
        const { offset = 0, bytes: most = Infinity } = range ?? {};
        const from = offset < 0 ? Math.max(0, found.bytes.length + offset) : offset;
        const piece = found.bytes.subarray(from, Math.min(found.bytes.length, from + most));
        return { info: this.#info(key, found), chunks: chunksOf(piece) };
      },
      list: (prefix, options) => this.#list(prefix, options),
      create: async (key, body, { lock }) => {
        called(`create ${key}`);
        const current = this.objects.get(key)?.at(-1);
        const bytes = body.kind === 'buffer' ? body.bytes : await bytesOf(body.chunks);
        if (current?.bytes !== undefined) return 'exists';
        this.put(key, bytes, { retention: this.#retentionOf(lock) });
        return 'created';
      },
      close: () => Promise.resolve(),
      ...(options.versioned === true ? { versions: { list: (prefix) => this.#listVersions(prefix) } } : {}),
      ...(options.locks === undefined || options.locks === 'none' ? {} : { locks: this.#makeLocks() }),
      ...(options.skewMs === undefined ? {} : { clockSkewMs: () => options.skewMs }),
      probe: {
        overwrite: async (key, bytes) => {
          called(`overwrite ${key}`);
          if (options.overwrites === 'refused') return 'refused';
          this.put(key, bytes);
          return 'accepted';
        },
        remove: async (key) => {
          called(`remove ${key}`);
          if (options.mayRemove !== true) return { name: 'refused', version: 'untried' };
          this.objects.delete(key);
          return { name: 'accepted', version: 'accepted' };
        },
      },
    };
  }

  // eslint-disable-next-line typescript/require-await -- as a store does it, only at once
  async *#list(prefix: string, { delimited, after = '' }: ListOptions): AsyncGenerator<ListEntry> {
    this.calls.push(`list ${prefix}`);
    let last = '';
    for (const key of this.#keys(prefix)) {
      const slash = key.indexOf('/', prefix.length);
      const directory = delimited === true && slash >= 0 ? key.slice(0, slash + 1) : undefined;
      const found = this.#oldest(key);
      if (found === undefined || (directory ?? key) <= after || directory === last) continue;
      if (directory === undefined) yield { kind: 'object', ...this.#info(key, found) };
      else yield { kind: 'directory', prefix: (last = directory) };
    }
  }

  #keys(prefix: string): string[] {
    return [...this.objects.keys()].filter((key) => key.startsWith(prefix)).sort();
  }

  #makeLocks(): StoreLocks {
    return {
      look: async (key, { version }): Promise<Protection | undefined> => {
        this.calls.push(`look ${key}`);
        const found = this.#current(key, version);
        return found === undefined ? undefined : { retention: found.retention, hold: false };
      },
      retain: async (key, retention, { version }) => {
        this.calls.push(`retain ${key}`);
        const found = this.#current(key, version);
        if (this.options.mayRetain === false || found === undefined) {
          throw new WalholdError('unlocked', `could not lock ${this.store.url}/${key}`, {
            hint: 'Allow s3:PutObjectRetention.',
          });
        }
        if ((found.retention?.until ?? 0) < retention.until) found.retention = retention;
        return found.retention ?? retention;
      },
      hold: () => Promise.resolve(),
      bucket: () =>
        Promise.resolve({
          versioning: undefined,
          lockable: undefined,
          defaultRetention: undefined,
          lifecycle: undefined,
          why: [],
          ...this.options.bucket,
        }),
    };
  }

  async *#listVersions(prefix: string): AsyncGenerator<VersionEntry> {
    this.calls.push(`versions ${prefix}`);
    if (this.options.mayListVersions === false) throw denied('list the versions');
    for (const key of this.#keys(prefix)) {
      const all = this.objects.get(key) ?? [];
      for (const one of all) {
        const current = one === all.at(-1);
        const { id: version, storedAt } = one;
        if (one.bytes === undefined) yield { kind: 'marker', key, version, storedAt, current };
        else yield { kind: 'version', ...this.#info(key, one), version, current };
      }
    }
  }

  #makeRemover(): RemovingStore {
    return {
      remove: async (key, { version }) => {
        this.calls.push(`remove ${key} ${version ?? 'the only one'}`);
        const all = this.objects.get(key) ?? [];
        const gone = all.find(({ id }) => version === undefined || id === version);
        if (this.options.mayRemove !== true || (gone?.retention?.until ?? 0) > NOW) throw denied(`remove ${key}`);
        const rest = all.filter((one) => one !== gone);
        if (rest.length > 0) this.objects.set(key, rest);
        else this.objects.delete(key);
      },
      ...(this.options.versioned === true
        ? {
            hide: async (key: string) => {
              this.calls.push(`hide ${key}`);
              if (this.options.mayHide !== true) throw denied(`hide ${key}`);
              this.put(key, undefined);
            },
          }
        : {}),
      close: () => Promise.resolve(),
    };
  }
}

function denied(what: string): WalholdError {
  return new WalholdError('denied', `these credentials may not ${what}`);
}

// eslint-disable-next-line typescript/require-await -- a source that is always ready
async function* chunksOf(bytes: Buffer): AsyncGenerator<Uint8Array> {
  // Small enough that everything but a head comes in several.
  for (let at = 0; at < bytes.length; at += 50_000) yield bytes.subarray(at, at + 50_000);
}
