import type { WalholdError } from '../base/errors.ts';
import type { Store } from './store.ts';

/** In place of a store whose settings cannot work: whatever is asked of it fails with `reason`, and the stores beside it go on. */
export function refusingStore(url: string, reason: WalholdError): Store {
  const refuse = (): Promise<never> => Promise.reject(reason);
  return {
    url,
    stat: refuse,
    open: refuse,
    create: refuse,
    list: () => ({ [Symbol.asyncIterator]: () => ({ next: refuse }) }),
    close: () => Promise.resolve(),
  };
}
