import { WalholdError } from '../base/errors.ts';
import type { StoreSettings } from './open-store.ts';
import type { RetryPolicy } from './retry.ts';
import type { RemovingStore } from './store.ts';

/**
 * Deleting in a repository's store, for the commands whose work that is: nothing else may import this (lint enforces). Loads the one
 * backend that is needed; asks it nothing yet. Each call is repeated by `policy`.
 */
export async function openRemover(settings: StoreSettings, policy: RetryPolicy): Promise<RemovingStore> {
  const remover = await backend(settings);
  const hide = remover.hide?.bind(remover);
  return {
    remove: (key, options) =>
      policy.run(`remove ${key}`, (signal) => remover.remove(key, { ...options, signal }), options),
    ...(hide === undefined
      ? {}
      : {
          hide: (key, options) => policy.run(`hide ${key}`, (signal) => hide(key, { ...options, signal }), options),
        }),
    close: () => remover.close(),
  };
}

async function backend(settings: StoreSettings): Promise<RemovingStore> {
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
