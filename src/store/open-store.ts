import { storeAsOf } from './as-of.ts';
import type { RetryPolicy } from './retry.ts';
import type { LockMemory, LockRequest, Store, Stranger } from './store.ts';
import { withLocks } from './with-locks.ts';
import { withRetry } from './with-retry.ts';
import { withVersions } from './with-versions.ts';

/** Where a repository lies and how to get there: what the settings of one repository come to. */
export type StoreSettings = FileSettings | S3Settings | GcsSettings;

export interface FileSettings {
  scheme: 'file';
  /** Absolute. */
  path: string;
}

export interface S3Settings {
  scheme: 's3';
  bucket: string;
  /** Without slashes at its ends; empty for the whole bucket. */
  prefix: string;
  endpoint?: string;
  region?: string;
  pathStyle?: boolean;
  profile?: string;
  caFile?: string;
  kmsKey?: string;
  storageClass?: string;
}

export interface GcsSettings {
  scheme: 'gs';
  bucket: string;
  /** Without slashes at its ends; empty for the whole bucket. */
  prefix: string;
  endpoint?: string;
  keyFile?: string;
  kmsKey?: string;
}

/** What a repository asks of its store beyond the place. */
export interface OpenOptions {
  /** Every object is created with it; `undefined`: nothing is locked. */
  lock?: LockRequest | undefined;
  /** Read as the store was at this moment. */
  asOf?: Date | undefined;
  /** What earlier calls saw of the store's locks. In its absence each process verifies once. */
  lockMemory?: LockMemory | undefined;
  /** Told of each trace that somebody else left, once. */
  onStranger?: ((stranger: Stranger) => void) | undefined;
  /** Told when these credentials, or the server, hide the versions: then the current one is all that can be read. */
  onBlind?: ((error: unknown) => void) | undefined;
}

/** The store of a repository, repeating by `policy`. Loads the one backend that is needed; asks it nothing yet. */
export async function openStore(
  settings: StoreSettings,
  policy: RetryPolicy,
  options: OpenOptions = {},
): Promise<Store> {
  const store = readOldest(withRetry(await backend(settings, policy, options), policy), options);
  return options.lock === undefined ? store : withLocks(store, options.lock);
}

/** A name's oldest version is its truth; where it has one at most, only the moment matters. */
function readOldest(store: Store, options: OpenOptions): Store {
  const { versions } = store;
  if (versions !== undefined) return withVersions({ ...store, versions }, options);
  return options.asOf === undefined ? store : storeAsOf(store, options.asOf);
}

async function backend(settings: StoreSettings, policy: RetryPolicy, { lockMemory }: OpenOptions): Promise<Store> {
  switch (settings.scheme) {
    case 'file': {
      const { fileStore } = await import('./file.ts');
      return fileStore({ root: settings.path });
    }
    case 's3': {
      const { s3Store } = await import('./s3.ts');
      return s3Store({ ...settings, policy, lockMemory });
    }
    case 'gs': {
      const { gcsStore } = await import('./gcs.ts');
      return gcsStore({ ...settings, policy });
    }
  }
}
