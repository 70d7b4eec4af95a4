import type { ObjectLockMode } from '@aws-sdk/client-s3';
import { WalholdError, hasCode } from '../base/errors.ts';
import { lockEnd } from './lock-proof.ts';
import type { S3Advice } from './s3-advice.ts';
import type { S3Clock } from './s3-clock.ts';
import { answerOf } from './s3-errors.ts';
import type { LockRequest } from './store.ts';

/** What one request asks for. */
export interface LockAsked {
  headers: { ObjectLockMode?: ObjectLockMode; ObjectLockRetainUntilDate?: Date };
  /** `undefined`: nothing is sent, the bucket is to lock by itself. */
  until: Date | undefined;
  /** The store's time when it said yes; before that, when it was asked. */
  begunAt: Date;
  /** To be called when it has. */
  answered(): void;
}

/** The lock that a create asks for, in every try anew: counted from the time of that try. */
export class S3LockAsk {
  private readonly lock: LockRequest;
  private readonly clock: S3Clock;
  private readonly advice: S3Advice;

  constructor(lock: LockRequest, clock: S3Clock, advice: S3Advice) {
    this.lock = lock;
    this.clock = clock;
    this.advice = advice;
  }

  now(): LockAsked {
    const { clock, lock } = this;
    const until = lock.mode === 'bucket' ? undefined : lockEnd(clock.now(), lock.periodMs);
    const mode = lock.mode === 'compliance' ? 'COMPLIANCE' : 'GOVERNANCE';
    return {
      headers: until === undefined ? {} : { ObjectLockMode: mode, ObjectLockRetainUntilDate: until },
      until,
      begunAt: clock.now(),
      answered() {
        this.begunAt = clock.now();
      },
    };
  }

  /** What a refusal of a request with this lock means: it may be the lock that was refused, not the object. */
  judge(error: unknown): unknown {
    if (!(error instanceof WalholdError) || this.lock.mode === 'bucket') return error;
    const { message, detail = '' } = error;
    const answer = answerOf(error);
    if (isWithoutLocks(error)) {
      return new WalholdError('unlocked', message, { detail, cause: error, hint: this.advice.enableLocks() });
    }
    if (answer?.status === 501) {
      const hint = 'This store cannot lock objects: use another, or set lock_mode = none.';
      return new WalholdError('unlocked', message, { detail, cause: error, hint });
    }
    if (hasCode(error, 'denied') && answer?.code === 'AccessDenied') {
      const hint = `To store and lock objects, these credentials need s3:PutObject and s3:PutObjectRetention; or let the bucket lock by itself, with lock_mode = bucket.`;
      return new WalholdError('denied', message, { detail, cause: error, hint });
    }
    return error;
  }
}

/** Whether the bucket said that it cannot lock. The code alone (InvalidRequest) says little. */
export function isWithoutLocks(error: unknown): boolean {
  const answer = answerOf(error);
  if (answer?.code === 'ObjectLockConfigurationNotFoundError') return true;
  const said = error instanceof WalholdError ? (error.detail ?? '') : '';
  return answer?.status === 400 && /object ?lock ?configuration/i.test(said);
}
