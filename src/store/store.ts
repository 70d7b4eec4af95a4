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
 * A name's truth is its oldest version: nothing here writes a name twice, so a later version or a delete marker is somebody
 * else's. The stores themselves see the current version; `with-versions.ts` is what makes every reader see the oldest.
 *
 * Keys are relative to the repository's prefix, `/`-separated, of `[A-Za-z0-9._-]`, without empty, `.` or `..` parts, no part
 * beginning with a dot.
 */
export interface Store {
  /** For messages: the repository's URL, without secrets. */
  readonly url: string;
  /** What is known of the object without reading it; `undefined`: proven absent. */
  stat(key: string, options: ReadOptions): Promise<ObjectInfo | undefined>;
  /** Opens the object, or a range of it, for one reading. `undefined`: proven absent. Ranges beyond the end give what is there. */
  open(key: string, options: OpeningOptions): Promise<OpenedObject | undefined>;
  /** Keys beginning with `prefix`, in order. See `ListOptions`. */
  list(prefix: string, options: ListOptions): AsyncIterable<ListEntry>;
  /** Creates the object if its key is free. */
  create(key: string, body: Body, options: CreateOptions): Promise<'created' | 'exists'>;
  /** Ends kept-alive connections. The store must not be used afterwards. */
  close(): Promise<void>;
  /** Where a name can have several versions; absent where it cannot (files). */
  readonly versions?: StoreVersions;
  /** Where objects can be locked against change. */
  readonly locks?: StoreLocks;
  /**
   * The versions that a reader may believe, oldest first; more than one only where somebody has meddled. Absent: a name has one
   * content at most. Callers that can judge contents try them in turn (`repository/authentic.ts`).
   */
  readonly candidates?: (key: string, options: CallOptions) => Promise<readonly ObjectInfo[]>;
  /** Takes note of a stranger that was met outside of the store: by a reader that found a version not authentic, or by a thread. */
  readonly report?: (stranger: Stranger) => void;
  /** The store's clock less this machine's, in ms, by its latest answer; `undefined` before that, or without a clock of its own. */
  readonly clockSkewMs?: () => number | undefined;
  /** For `probe.ts`; absent where there is nothing to mistrust. */
  readonly probe?: StoreProbe;
}

/**
 * Deleting, for `expire` and `wal resolve` alone, which ask for it by name. One version goes, never a whole name; locked ones are
 * refused by the store with `denied`.
 */
export interface RemovingStore {
  /** Resolves when the version is gone. Absent already: resolves. Throws `denied` (no right, or locked) or what the store says. */
  remove(key: string, options: CallOptions & { version: string | undefined }): Promise<void>;
  /**
   * Removes up to `MOST_REMOVED_AT_ONCE` versions by one request, where the store can: for each whether it answered that it is gone. Of
   * the others `remove` tells why. In no order: not for two versions of one name.
   */
  removeMany?(objects: readonly ObjectVersion[], options: CallOptions): Promise<boolean[]>;
  /** Frees the name for a new version while every version stays (S3's delete marker); absent where a name has one version. */
  hide?(key: string, options: CallOptions): Promise<void>;
  close(): Promise<void>;
}

export interface ObjectVersion {
  key: string;
  version: string;
}

/** Half of what S3 takes: a slow store shall answer within a request's deadline. */
export const MOST_REMOVED_AT_ONCE = 500;

/** What a server must be caught at before it is trusted. */
export interface StoreProbe {
  /** Sends a checksum that is not that of `bytes`: a store that compares throws. */
  createWithWrongChecksum?(key: string, bytes: Uint8Array, options: CallOptions): Promise<'created' | 'exists'>;
  /** An unconditional write, as an attacker would send it: `refused`, or the store took it. Only ever of the probe's own key. */
  overwrite?(key: string, bytes: Uint8Array, options: CallOptions): Promise<'refused' | 'accepted'>;
  /** Tries to delete the probe's own object: its name, then the version. What a stolen key could do. */
  remove?(
    key: string,
    options: CallOptions,
  ): Promise<{ name: 'refused' | 'accepted'; version: 'refused' | 'accepted' | 'untried' }>;
  /** What the store says of how an object is encrypted, and by which key, in its own words. `undefined`: absent, or not at all. */
  encryption?(key: string, options: CallOptions): Promise<{ method: string; kmsKey: string | undefined } | undefined>;
}

export interface CallOptions {
  /** Aborting ends the call with the signal's reason. */
  signal: AbortSignal;
}

export interface ReadOptions extends CallOptions {
  /** One version by its identifier, whatever covers it. Without it: what the store holds for the name's content. */
  version?: string;
}

export interface OpeningOptions extends ReadOptions {
  range?: ByteRange;
  /** Asked once, for all that is opened: a store may put it there, one chunk behind the other. `undefined`: there is no room for so much. */
  room?: ((bytes: number) => Buffer | undefined) | undefined;
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
  /** The version's identifier, where the store keeps versions and the answer names it. */
  version?: string;
  /** Absent: this answer does not say (S3 lists without locks). Its `hold` may be hidden from these credentials; `look` tells. */
  protection?: Protection;
}

/** What stands against deleting and replacing one version. */
export interface Protection {
  /** `undefined`: none. One that has run out counts as none. */
  retention: Retention | undefined;
  /** A legal hold (S3), a temporary or event-based hold (GCS): no end, but whoever may set it may lift it. */
  hold: boolean;
}

export interface Retention {
  mode: RetentionMode;
  /** By the store's clock. */
  until: Date;
}

/**
 * `compliance`: nobody can shorten it (S3 COMPLIANCE, GCS Locked). `governance`: who has the bypass right can. `policy`: by a
 * policy of the bucket (GCS). `read-only`, `immutable`: files, by mode and by attribute.
 */
export type RetentionMode = 'governance' | 'compliance' | 'policy' | 'read-only' | 'immutable';

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
  /** Folded entries need not be proven to hold an object, where that takes a look at each (files): the caller looks, or can do without. */
  maybeEmpty?: boolean;
  /** Stop after about so many entries: a wish for small requests; more may come. */
  limit?: number;
}

export type ListEntry = ({ kind: 'object' } & ObjectInfo) | { kind: 'directory'; prefix: string };

export interface StoreVersions {
  /**
   * Every version and delete marker of the keys beginning with `prefix`: keys in order, of one key the oldest first (of a key with
   * more than `MOST_VERSIONS`, the oldest ones). A `limit` counts versions, markers and directories and never cuts those of one key;
   * fewer come only at the end. A folded directory can hold nothing but markers. Throws `denied` where these credentials may not
   * list versions, `unsupported` where the server cannot.
   */
  list(prefix: string, options: ListOptions): AsyncIterable<VersionEntry>;
}

/** More versions of one name than anybody but an attacker makes. */
export const MOST_VERSIONS = 1000;

export type VersionEntry =
  | ({ kind: 'version'; version: string; current: boolean } & ObjectInfo)
  /** S3's delete marker. On GCS the name of a deleted object has a version that is not current, and no marker. */
  | { kind: 'marker'; key: string; version: string; storedAt: Date; current: boolean }
  | { kind: 'directory'; prefix: string };

/**
 * Somebody else's trace: what nothing here ever leaves. `unauthentic`: the oldest version of a name is nothing that walhold writes; a
 * later one is.
 */
export interface Stranger {
  kind: 'later-version' | 'delete-marker' | 'hidden' | 'unauthentic';
  key: string;
  version: string;
  storedAt: Date;
  /** Of an `unauthentic` one: the version that is believed instead. It may have been called a later one before. */
  believed?: string;
}

/** A buffer can be sent again by a retry; a stream is read once, and only its buffered chunks are sent again. */
export type Body = { kind: 'buffer'; bytes: Uint8Array } | { kind: 'stream'; chunks: AsyncIterable<Uint8Array> };

export interface CreateOptions extends CallOptions {
  /** Asked of the store in the same request as the object; when `create` answers `created`, it holds. */
  lock?: LockRequest;
}

/** A lock for a new object; the store adds the period to its own clock. */
export interface LockRequest {
  /** `bucket`: nothing is sent, the bucket's own default must lock it; that it does is verified each time. */
  mode: 'bucket' | 'governance' | 'compliance';
  periodMs: number;
}

export interface StoreLocks {
  /**
   * What protects a version (the current one, unless named). `undefined`: proven absent. Throws `denied` when these credentials may
   * not be told: never "none" instead. With `retentionOnly` holds are not asked for, and `hold` says nothing.
   */
  look(key: string, options: ReadOptions & { retentionOnly?: boolean }): Promise<Protection | undefined>;
  /**
   * Lengthens the retention of a version to `until`, in `mode`; a retention that is as long and as strict stays as it is. Resolves
   * to what holds afterwards, as the store says. Throws `unlocked` where it does not hold, `not-found` where nothing is.
   */
  retain(
    key: string,
    retention: { mode: 'governance' | 'compliance'; until: Date },
    options: ReadOptions,
  ): Promise<Retention>;
  /** Sets or lifts a legal hold. Throws `not-found` where nothing is. */
  hold(key: string, on: boolean, options: ReadOptions): Promise<void>;
  /** What the bucket (the file system) says of itself, as far as these credentials may see. */
  bucket(options: CallOptions): Promise<BucketProtection>;
  /** Why an object may lack this lock, as far as the bucket tells, and the command that mends it. Throws nothing but the signal's reason. */
  mend?(lock: LockRequest, options: CallOptions): Promise<{ detail: string; hint: string }>;
}

/** Each field: `undefined` where it may not be seen; `why` then says so. */
export interface BucketProtection {
  /** Whether a replaced object stays as an older version. */
  versioning: 'on' | 'suspended' | 'off' | undefined;
  /** Whether objects can be locked there at all. */
  lockable: boolean | undefined;
  /** What new objects get by themselves; `none`: nothing. */
  defaultRetention: { mode: RetentionMode; periodMs: number } | 'none' | undefined;
  /** Rules that delete or hide by age, in the provider's words, for people. */
  lifecycle: readonly string[] | undefined;
  /** What could not be seen, and what was answered. */
  why: readonly string[];
}

/** What was seen of a store's locks, kept between calls: each way of writing is verified once. See `lock-proof.ts`. */
export interface LockMemory {
  /** `kept`: locks asked for with the object were there. `dropped`: they were not, and had to be set afterwards. */
  recall(way: 'single' | 'stream'): 'kept' | 'dropped' | undefined;
  remember(way: 'single' | 'stream', seen: 'kept' | 'dropped'): void;
}
