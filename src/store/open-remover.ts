import type { StoreSettings } from './open-store.ts';
import type { RetryPolicy } from './retry.ts';
import type { RemovingStore } from './store.ts';

/**
 * Deleting in a repository's store, for the commands whose work that is: nothing else may import this (lint enforces). Loads the one
 * backend that is needed, which repeats its requests by `policy`; asks it nothing yet.
 */
export async function openRemover(settings: StoreSettings, policy: RetryPolicy): Promise<RemovingStore> {
  switch (settings.scheme) {
    case 'file': {
      const { fileRemover } = await import('./file-remove.ts');
      return fileRemover({ root: settings.path });
    }
    case 's3': {
      const { s3Remover } = await import('./s3-remove.ts');
      return s3Remover({ ...settings, policy });
    }
    case 'gs': {
      const { gcsRemover } = await import('./gcs-remove.ts');
      return gcsRemover({ ...settings, policy });
    }
  }
}
