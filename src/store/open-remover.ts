import { WalholdError } from '../base/errors.ts';
import type { StoreSettings } from './open-store.ts';
import type { RetryPolicy } from './retry.ts';
import type { RemovingStore } from './store.ts';

/**
 * Deleting in a repository's store, for the commands whose work that is: nothing else may import this (lint enforces). Loads the one
 * backend that is needed, which repeats its requests by `policy`; asks it nothing yet.
 */
export async function openRemover(settings: StoreSettings, _policy: RetryPolicy): Promise<RemovingStore> {
  switch (settings.scheme) {
    case 'file': {
      const { fileRemover } = await import('./file-remove.ts');
      return fileRemover({ root: settings.path });
    }
    case 's3':
    case 'gs':
      throw new WalholdError('unsupported', `removing from ${settings.scheme}:// is not supported by this version`);
  }
}
