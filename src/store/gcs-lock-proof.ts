import { hasCode, WalholdError } from '../base/errors.ts';
import type { GcsObject } from './gcs-object.ts';
import { isAsStrict } from './retention-order.ts';
import type { LockRequest, Retention } from './store.ts';

/** How much shorter than asked a lock may be: the clocks of two machines are never the same. */
const TOLERANCE_MS = 5 * 60_000;

export interface NewLock {
  /** `store gs://…`, for messages. */
  what: string;
  object: GcsObject;
  lock: LockRequest;
  /** When the request was made, by the store's clock: an upload may take longer than the tolerance. */
  askedAt: number;
  /** Sets what the store ignored. Rejects where it does not hold afterwards. */
  retain: (retention: { mode: 'governance' | 'compliance'; until: Date }) => Promise<unknown>;
  /** The object as the store describes it when asked; `undefined`: it is gone. */
  look: () => Promise<GcsObject | undefined>;
}

/**
 * Whether a new object holds the lock that was asked for, by what the store's own answer says of it. A store that ignored the
 * request is asked again, in a request of its own. Throws `unlocked` where no lock can be had: the object is stored all the same.
 */
export async function requireLock(created: NewLock): Promise<void> {
  const { lock, askedAt } = created;
  const due = askedAt + lock.periodMs - TOLERANCE_MS;
  if (lock.mode === 'bucket') return requirePolicy(created, due);
  const { retention } = created.object;
  if (retention !== undefined && isAsStrict(retention.mode, lock.mode) && retention.until.getTime() >= due) return;
  try {
    await created.retain({ mode: lock.mode, until: new Date(askedAt + lock.periodMs) });
  } catch (error) {
    if (!hasCode(error, 'unlocked', 'denied', 'store-rejected', 'not-found')) throw error;
    throw unlocked(created, `the store shows ${shown(retention)} and did not take one afterwards`, error, LOCK_HINT);
  }
}

async function requirePolicy(created: NewLock, due: number): Promise<void> {
  if (keptUntil(created.object) >= due) return;
  const seen = await created.look();
  if (seen !== undefined && keptUntil(seen) >= due) return;
  const free = keptUntil(seen ?? created.object);
  const detail =
    free === 0 ? 'the bucket gave it no lock' : `the bucket locks it until ${new Date(free).toISOString()} only`;
  throw unlocked(created, detail, undefined, POLICY_HINT);
}

/** Whatever keeps it. */
function keptUntil({ retention, freeAt }: GcsObject): number {
  return Math.max(retention?.until.getTime() ?? 0, freeAt?.getTime() ?? 0);
}

function shown(retention: Retention | undefined): string {
  return retention === undefined ? 'no lock' : `a lock (${retention.mode}) until ${retention.until.toISOString()}`;
}

const LOCK_HINT = 'Check lock_mode and the bucket: walhold check says what it can do.';
const POLICY_HINT =
  'Give the bucket a retention policy as long as lock_period: gcloud storage buckets update --retention-period.';

function unlocked({ what }: NewLock, detail: string, cause: unknown, hint: string): WalholdError {
  const message = `could not ${what} with the lock asked for`;
  const inner = cause instanceof WalholdError ? cause : undefined;
  return new WalholdError('unlocked', message, {
    detail: inner === undefined ? detail : `${detail}: ${inner.detail ?? inner.message}`,
    hint: inner?.hint ?? hint,
    ...(cause === undefined ? {} : { cause }),
  });
}
