/**
 * The create-only store: all that walhold needs of S3, GCS or a directory. Nothing here overwrites, renames or deletes; deleting
 * lives on `RemovingStore`, which only `expire` receives.
 *
 * What every store guarantees, and `test/contract/store-suite.ts` checks:
 * - `create` is conditional in the store itself: of any number of concurrent writers of a key exactly one gets `created`, all
 *   others `exists`; when either is returned the object of that key is complete and durable. A failed or aborted create leaves
 *   nothing visible under the key, or, when it was the answer that was lost, the whole object.
 * - `stat` and `open` answer `undefined` only on proof that the key is absent. No answer, a refusal, a missing bucket or directory
 *   is an error: `unreachable`, `denied`, `store-rejected` or `store-gone`.
 * - `list` is complete and sorted by the key's bytes at the time of the call; an object created before the call began is in it.
 *
 * What no store guarantees: that an object's bytes are what was written (callers verify), that `storedAt` is exact (S3 dates a
 * multipart object by its beginning), that nobody else writes beside us.
 *
 * Keys are relative to the repository's prefix, `/`-separated, of `[A-Za-z0-9._-]`, without empty, `.` or `..` parts, no part
 * beginning with a dot.
 */
export interface Store {
  /** For messages: the repository's URL, without secrets. */
  readonly url: string;
  /** What is known of the object without reading it; `undefined`: proven absent. */
  stat(key: string, options: CallOptions): Promise<ObjectInfo | undefined>;
  /** Opens the object, or a range of it, for one reading. `undefined`: proven absent. Ranges beyond the end give what is there. */
  open(key: string, options: CallOptions & { range?: ByteRange }): Promise<OpenedObject | undefined>;
  /** Keys beginning with `prefix`, in order. See `ListOptions`. */
  list(prefix: string, options: ListOptions): AsyncIterable<ListEntry>;
  /** Creates the object if its key is free. */
  create(key: string, body: Body, options: CreateOptions): Promise<'created' | 'exists'>;
  /** Ends kept-alive connections. The store must not be used afterwards. */
  close(): Promise<void>;
  /** For `probe.ts`; absent where there is nothing to mistrust. */
  readonly probe?: StoreProbe;
}

/** What a server must be caught at before it is trusted. */
export interface StoreProbe {
  /** Sends a checksum that is not that of `bytes`: a store that compares throws. */
  createWithWrongChecksum(key: string, bytes: Uint8Array, options: CallOptions): Promise<'created' | 'exists'>;
}

export interface CallOptions {
  /** Aborting ends the call with the signal's reason. */
  signal: AbortSignal;
}

export interface ByteRange {
  /** First byte. Negative: that many bytes before the end (then without `bytes`). */
  offset: number;
  /** How many at most; to the end if left out. */
  bytes?: number;
}

export interface ObjectInfo {
  key: string;
  bytes: number;
  /** When the store says that it was stored. */
  storedAt: Date;
  /** The store's own name for these very bytes (version id, ETag, inode): equal tags mean equal bytes. */
  tag: string;
}

export interface OpenedObject {
  info: ObjectInfo;
  /** The bytes, once: read them or abort the signal. Breaking off the loop ends the transfer. A transfer cut short throws `unreachable`, never ends quietly. */
  chunks: AsyncIterable<Uint8Array>;
}

export interface ListOptions extends CallOptions {
  /** Only keys that sort after this one (a key, a directory entry's prefix, or any beginning of them; need not exist). */
  after?: string;
  /**
   * Fold everything beyond the next `/` after the prefix into one `directory` entry, which says that at least one object lies there;
   * with `after`, one that sorts after it, unless `after` is that very entry.
   */
  delimited?: boolean;
  /** Stop after about so many entries: a wish for small requests; more may come. */
  limit?: number;
}

export type ListEntry = ({ kind: 'object' } & ObjectInfo) | { kind: 'directory'; prefix: string };

/** A buffer can be sent again by a retry; a stream is read once, and only its buffered chunks are sent again. */
export type Body = { kind: 'buffer'; bytes: Uint8Array } | { kind: 'stream'; chunks: AsyncIterable<Uint8Array> };

export interface CreateOptions extends CallOptions {
  /** Asked of the store in the same request as the object; when `create` answers, it holds. */
  lock?: Lock;
}

export interface Lock {
  mode: 'governance' | 'compliance';
  until: Date;
}
