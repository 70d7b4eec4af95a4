/**
 * Which cluster a repository belongs to: `walhold.json`, created once by the first push or backup, conditionally, and only where
 * nothing else lies. Its absence is never taken for an empty repository by a reader: an unmounted share looks just like one.
 */
import { hasCode, WalholdError } from '../base/errors.ts';
import type { StoreSettings } from '../store/open-store.ts';
import type { CallOptions, Store } from '../store/store.ts';
import { readAuthentic } from './authentic.ts';
import { IDENTITY_KEY } from './layout.ts';

export interface Identity {
  format: 1;
  /** Of pg_control; decimal in the JSON. */
  systemId: bigint;
  /** ISO 8601 UTC, by the creator's clock. */
  createdAt: string;
  /** `walhold 1.2.3 on host`. */
  by: string;
}

const MAX_BYTES = 4096;
/** Entries that a listing may show beside ours in a repository that counts as empty: none. Two tell enough. */
const LOOK_AT = 2;

/** The repository's identity. `undefined`: it answered, and has none. Throws `damaged` for anything that is not one. */
export async function readIdentity(store: Store, options: CallOptions): Promise<Identity | undefined> {
  const { signal } = options;
  return await readAuthentic(store, IDENTITY_KEY, { signal, maxBytes: MAX_BYTES }, ({ bytes }) =>
    parseIdentity(bytes, store.url),
  );
}

/**
 * The identity of a repository that must have one, and be this cluster's where `systemId` is given: what every reader asks before
 * it believes an absence. Throws `store-gone` (none there) or `identity` (another cluster's).
 */
export async function requireIdentity(
  store: Store,
  options: CallOptions & { systemId?: bigint | undefined },
): Promise<Identity> {
  const identity = await readIdentity(store, options);
  if (identity === undefined) throw gone(store.url, 'it has no walhold.json');
  checkOwner(store.url, identity, options.systemId);
  return identity;
}

export interface EnsureOptions extends CallOptions {
  systemId: bigint;
  /** The repository was seen with an identity before: then none is made, whatever it looks like now. */
  known: boolean;
  by: string;
  now: Date;
}

/**
 * The identity for a writer: the one that is there, or a new one in a place where nothing lies. Returns only what belongs to
 * `systemId`. Throws `identity`, `store-gone` (known, or not empty, yet without an identity), or what the store says.
 */
export async function ensureIdentity(
  repository: { store: Store; settings: StoreSettings },
  options: EnsureOptions,
): Promise<Identity> {
  const { store } = repository;
  const found = await readOrMakePlace(repository, options);
  if (found !== undefined) {
    checkOwner(store.url, found, options.systemId);
    return found;
  }
  if (options.known) throw gone(store.url, 'it had a walhold.json before, and has none now');
  await requireEmpty(store, options);
  const { systemId, by, now } = options;
  const identity: Identity = { format: 1, systemId, createdAt: now.toISOString(), by };
  const created = await store.create(
    IDENTITY_KEY,
    { kind: 'buffer', bytes: formatIdentity(identity) },
    { signal: options.signal },
  );
  if (created === 'created') return identity;
  // Another first push was faster; or the answer to our own was lost.
  return requireIdentity(store, options);
}

/** As stored: one line of JSON. */
export function formatIdentity(identity: Identity): Buffer {
  return Buffer.from(`${JSON.stringify({ ...identity, systemId: String(identity.systemId) })}\n`, 'utf8');
}

/** Reads the file; `url` is for messages. Throws `damaged`. */
export function parseIdentity(bytes: Uint8Array, url: string): Identity {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    throw damaged(url, 'it is not JSON', error);
  }
  if (typeof value !== 'object' || value === null) throw damaged(url, 'it is not an object');
  const { format, systemId, createdAt, by } = value as Record<string, unknown>;
  if (typeof format === 'number' && Number.isInteger(format) && format > 1) {
    throw new WalholdError('damaged', `the repository ${url} has format ${format}, this version knows 1`, {
      hint: 'Use a newer version of walhold.',
    });
  }
  if (format !== 1) throw damaged(url, 'its format is not 1');
  if (typeof systemId !== 'string' || !/^[1-9]\d{0,19}$/.test(systemId)) throw damaged(url, 'systemId is wrong');
  const text = (field: unknown): string => (typeof field === 'string' ? field.slice(0, 200) : 'unknown');
  return { format: 1, systemId: BigInt(systemId), createdAt: text(createdAt), by: text(by) };
}

/** A directory that was never there may be made for a new repository; one that was known, or whose parent is missing, not. */
async function readOrMakePlace(
  { store, settings }: { store: Store; settings: StoreSettings },
  options: EnsureOptions,
): Promise<Identity | undefined> {
  try {
    return await readIdentity(store, options);
  } catch (error) {
    if (options.known || settings.scheme !== 'file' || !hasCode(error, 'store-gone')) throw error;
  }
  const { ensureRoot } = await import('../store/file.ts');
  await ensureRoot(settings.path);
  return readIdentity(store, options);
}

/** Throws `store-gone` for a place that holds anything but an identity: no new repository is made there. */
export async function requireEmpty(store: Store, { signal }: CallOptions): Promise<void> {
  for await (const entry of store.list('', { signal, delimited: true, limit: LOOK_AT })) {
    const key = entry.kind === 'object' ? entry.key : entry.prefix;
    // Another first push may have come between.
    if (key !== IDENTITY_KEY) throw gone(store.url, `it has no walhold.json, but is not empty: it holds ${key}`);
  }
}

function checkOwner(url: string, identity: Identity, systemId: bigint | undefined): void {
  if (systemId === undefined || identity.systemId === systemId) return;
  throw new WalholdError('identity', `the repository ${url} belongs to another cluster`, {
    detail: `system identifier is ${systemId}, the repository's is ${identity.systemId}`,
    hint: 'Give each cluster a prefix of its own; after pg_upgrade or a new initdb set a new one before the start.',
  });
}

function gone(url: string, detail: string): WalholdError {
  return new WalholdError('store-gone', `${url} is not, or no longer, a repository`, {
    detail,
    hint: 'Mount or bring back what lay there, or set the right repository; a new one needs an empty place.',
  });
}

function damaged(url: string, detail: string, cause?: unknown): WalholdError {
  return new WalholdError('damaged', `could not trust ${IDENTITY_KEY} in ${url}`, {
    detail,
    hint: 'Compare it with the same file in another repository or an older version of it.',
    cause,
  });
}
