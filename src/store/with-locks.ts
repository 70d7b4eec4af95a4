import type { LockRequest, Store } from './store.ts';

/** Has every object of the repository created with the lock that its settings ask for: nobody who creates can forget it. */
export function withLocks(store: Store, lock: LockRequest): Store {
  return {
    ...store,
    create: (key, body, options) => store.create(key, body, { ...options, lock: stricter(lock, options.lock) }),
  };
}

/** A caller may ask for longer (a backup that is kept), never for less. */
function stricter(lock: LockRequest, asked: LockRequest | undefined): LockRequest {
  return asked === undefined ? lock : { mode: lock.mode, periodMs: Math.max(lock.periodMs, asked.periodMs) };
}
