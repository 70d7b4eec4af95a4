/**
 * A bucket in memory that locks, as readers of the oldest version see it. Requests are counted as the protocols would send them:
 * listings in pages of 1,000 entries. Time passes only when told.
 */
import { WalholdError } from '../../src/base/errors.ts';
import { rangeBounds } from '../../src/store/byte-range.ts';
import type {
  BucketProtection,
  ListEntry,
  ListOptions,
  ObjectInfo,
  Protection,
  ReadOptions,
  Retention,
  Store,
  StoreLocks,
  Stranger,
} from '../../src/store/store.ts';

const PAGE = 1000;

export interface LockableOptions {
  /** Whether listings tell what protects an object, as on files and GCS; S3's do not. */
  tells: boolean;
  /** What new objects are locked with. */
  lock?: { mode: 'governance' | 'compliance'; periodMs: number };
  bucket?: Partial<BucketProtection>;
}

export interface KeptVersion {
  version: string;
  bytes: Buffer;
  storedAt: Date;
  retention: Retention | undefined;
  hold: boolean;
}

type Request = 'list' | 'stat' | 'open' | 'create' | 'look' | 'retain' | 'hold' | 'bucket';

export class LockableBucket {
  readonly options: LockableOptions;
  /** By the store's clock. */
  now: Date;
  /** Of each name all versions, oldest first. */
  readonly objects: Map<string, KeptVersion[]> = new Map();
  /** How many of each kind were sent. */
  readonly counts: Record<Request, number> = {
    list: 0,
    stat: 0,
    open: 0,
    create: 0,
    look: 0,
    retain: 0,
    hold: 0,
    bucket: 0,
  };
  /** Each as `list wal/` or `look wal/…@version`. */
  readonly requests: string[] = [];
  /** What a request, by the text that `requests` has, fails with. */
  fault: (request: string) => Error | undefined = () => undefined;
  readonly strangers: Stranger[] = [];
  readonly store: Store;
  #sorted: string[] | undefined;
  #serial = 0;

  constructor(options: LockableOptions, now: Date = new Date('2026-06-01T00:00:00Z')) {
    this.options = options;
    this.now = now;
    this.store = this.#makeStore();
  }

  /** An honest writer's object, locked as the settings say unless told otherwise. */
  put(key: string, content: string | Uint8Array, more: Partial<KeptVersion> = {}): Promise<void> {
    const { lock } = this.options;
    const storedAt = more.storedAt ?? this.now;
    const retention =
      lock === undefined ? undefined : { mode: lock.mode, until: new Date(storedAt.getTime() + lock.periodMs) };
    const version = `v${(this.#serial += 1)}`;
    const kept = { version, bytes: Buffer.from(content), storedAt, retention, hold: false, ...more };
    const known = this.objects.get(key);
    if (known === undefined) {
      this.objects.set(key, [kept]);
      this.#sorted = undefined;
    } else {
      known.push(kept);
      this.strangers.push({ kind: 'later-version', key, version, storedAt });
    }
    return Promise.resolve();
  }

  /** The oldest version's. */
  untilOf(key: string): string | undefined {
    return this.objects.get(key)?.[0]?.retention?.until.toISOString();
  }

  remove(key: string): void {
    this.objects.delete(key);
    this.#sorted = undefined;
  }

  /** Forgets what was asked so far. */
  forget(): void {
    this.requests.length = 0;
    for (const kind of Object.keys(this.counts) as Request[]) this.counts[kind] = 0;
  }

  #ask(kind: Request, what: string, { signal }: { signal: AbortSignal }): void {
    signal.throwIfAborted();
    this.counts[kind] += 1;
    this.requests.push(`${kind} ${what}`);
    const error = this.fault(`${kind} ${what}`);
    if (error !== undefined) throw error;
  }

  #find(kind: Request, key: string, options: ReadOptions): KeptVersion | undefined {
    this.#ask(kind, options.version === undefined ? key : `${key}@${options.version}`, options);
    const all = this.objects.get(key);
    return options.version === undefined ? all?.[0] : all?.find(({ version }) => version === options.version);
  }

  #info(key: string, { version, bytes, storedAt, retention, hold }: KeptVersion, tells: boolean): ObjectInfo {
    const info = { key, bytes: bytes.length, storedAt, tag: version, version };
    return tells ? { ...info, protection: this.#protection({ retention, hold }) } : info;
  }

  #protection({ retention, hold }: Pick<KeptVersion, 'retention' | 'hold'>): Protection {
    return { retention: retention !== undefined && retention.until > this.now ? retention : undefined, hold };
  }

  #makeStore(): Store {
    return {
      url: 'memory://bucket',
      stat: async (key, options) => {
        const found = this.#find('stat', key, options);
        return found === undefined ? undefined : this.#info(key, found, true);
      },
      open: async (key, options) => {
        const found = this.#find('open', key, options);
        if (found === undefined) return undefined;
        const { from, to } = rangeBounds(found.bytes.length, options.range);
        return { info: this.#info(key, found, true), chunks: once(found.bytes.subarray(from, to)) };
      },
      list: (prefix, options) => this.#list(prefix, options),
      create: async (key, body, options) => {
        this.#ask('create', key, options);
        if (this.objects.has(key)) return 'exists';
        if (body.kind !== 'buffer') throw new Error('only buffers are stored here');
        await this.put(key, body.bytes);
        return 'created';
      },
      close: () => Promise.resolve(),
      locks: this.#makeLocks(),
      candidates: async (key) => (this.objects.get(key) ?? []).map((one) => this.#info(key, one, this.options.tells)),
      clockSkewMs: () => 0,
    };
  }

  #makeLocks(): StoreLocks {
    return {
      look: async (key, options) => {
        const found = this.#find('look', key, options);
        return found === undefined ? undefined : this.#protection(found);
      },
      retain: async (key, retention, options) => {
        const found = this.#find('retain', key, options);
        if (found === undefined) throw new WalholdError('not-found', `there is no ${key}`);
        const before = this.#protection(found).retention;
        const shorter = before !== undefined && retention.until < before.until;
        if (shorter || (before?.mode === 'compliance' && retention.mode === 'governance')) {
          throw new WalholdError('denied', `the lock of ${key} would become weaker`);
        }
        found.retention = retention;
        return retention;
      },
      hold: async (key, on, options) => {
        const found = this.#find('hold', key, options);
        if (found === undefined) throw new WalholdError('not-found', `there is no ${key}`);
        found.hold = on;
      },
      bucket: async (options) => {
        this.#ask('bucket', '', options);
        const all = { versioning: 'on', lockable: true, defaultRetention: 'none', lifecycle: [], why: [] } as const;
        return { ...all, ...this.options.bucket };
      },
    };
  }

  async *#list(prefix: string, options: ListOptions): AsyncGenerator<ListEntry> {
    this.#sorted ??= [...this.objects.keys()].sort((a, b) => (a < b ? -1 : 1));
    const { after = '', delimited, limit = Infinity } = options;
    let delivered = 0;
    let at = indexFrom(this.#sorted, after > prefix ? after : prefix);
    for (; at < this.#sorted.length && delivered < limit; at += 1) {
      const key = this.#sorted[at] ?? '';
      if (!key.startsWith(prefix)) break;
      const slash = delimited === true ? key.indexOf('/', prefix.length) : -1;
      const name = slash < 0 ? key : key.slice(0, slash + 1);
      if (name !== after && key !== after) {
        if (delivered % PAGE === 0) this.#ask('list', prefix, options);
        delivered += 1;
        const kept = this.objects.get(key)?.[0];
        if (slash >= 0) yield { kind: 'directory', prefix: name };
        else if (kept !== undefined) yield { kind: 'object', ...this.#info(key, kept, this.options.tells) };
      }
      // The slash's successor: past all that lies in the directory.
      if (slash >= 0) at = indexFrom(this.#sorted, `${name.slice(0, -1)}0`) - 1;
    }
    if (delivered === 0) this.#ask('list', prefix, options);
  }
}

function indexFrom(sorted: readonly string[], wanted: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? '') < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

// eslint-disable-next-line typescript/require-await -- a body that is there at once
async function* once(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
}
