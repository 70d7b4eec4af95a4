import type { ObjectLockLegalHoldStatus } from '@aws-sdk/client-s3';
import type { Protection, Retention } from './store.ts';

/** Of a mode that S3 has not yet, the looser is what can be relied on. */
export function retentionMode(mode: string): 'governance' | 'compliance' {
  return mode === 'COMPLIANCE' ? 'compliance' : 'governance';
}

/** `undefined` once it has run out. */
export function retentionOf(mode: string, until: Date, now: Date): Retention | undefined {
  return until > now ? { mode: retentionMode(mode), until } : undefined;
}

/**
 * What the headers of an object say. `undefined` when they are silent: that is so of objects without a lock, and of those whose lock
 * these credentials may not see (s3:GetObjectRetention).
 */
export function protectionOf(
  headers: {
    ObjectLockMode?: string | undefined;
    ObjectLockRetainUntilDate?: Date | undefined;
    ObjectLockLegalHoldStatus?: ObjectLockLegalHoldStatus | undefined;
  },
  now: Date,
): Protection | undefined {
  const { ObjectLockMode: mode, ObjectLockRetainUntilDate: until, ObjectLockLegalHoldStatus: hold } = headers;
  if (mode === undefined || until === undefined) return undefined;
  return { retention: retentionOf(mode, until, now), hold: hold === 'ON' };
}
