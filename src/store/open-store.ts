import type { RetryPolicy } from './retry.ts';
import type { Store } from './store.ts';
import { withRetry } from './with-retry.ts';

/** Where a repository lies and how to get there: what the settings of one repository come to. */
export type StoreSettings = FileSettings | S3Settings;

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

/** The store of a repository, repeating by `policy`. Loads the one backend that is needed; asks it nothing yet. */
export async function openStore(settings: StoreSettings, policy: RetryPolicy): Promise<Store> {
  switch (settings.scheme) {
    case 'file': {
      const { fileStore } = await import('./file.ts');
      return withRetry(fileStore({ root: settings.path }), policy);
    }
    case 's3': {
      const { s3Store } = await import('./s3.ts');
      return withRetry(await s3Store({ ...settings, policy }), policy);
    }
  }
}
