import type { S3Settings } from './open-store.ts';
import type { BucketProtection, LockRequest } from './store.ts';

const DAY_MS = 86_400_000;

/** Commands that mend a bucket, for hints: of the AWS command line, with this bucket's name and endpoint in them. */
export class S3Advice {
  private readonly place: Pick<S3Settings, 'bucket' | 'endpoint'>;

  constructor(place: Pick<S3Settings, 'bucket' | 'endpoint'>) {
    this.place = place;
  }

  /** Locks can be switched on where versions are kept, and then never off. */
  enableLocks(): string {
    const versions = this.command('put-bucket-versioning', '--versioning-configuration Status=Enabled');
    const locks = this.command(
      'put-object-lock-configuration',
      "--object-lock-configuration 'ObjectLockEnabled=Enabled'",
    );
    return `Let the bucket lock objects, for ever: ${versions} && ${locks}; or make a new one with object lock.`;
  }

  /** Gives new objects at least this lock. */
  lockByDefault(periodMs: number, mode: 'GOVERNANCE' | 'COMPLIANCE'): string {
    const days = Math.max(1, Math.ceil(periodMs / DAY_MS));
    const rule = { ObjectLockEnabled: 'Enabled', Rule: { DefaultRetention: { Mode: mode, Days: days } } };
    const option = `--object-lock-configuration '${JSON.stringify(rule)}'`;
    return this.command('put-object-lock-configuration', option);
  }

  /** What the bucket says about a lock that did not come by itself. */
  ofDefault(lock: LockRequest, bucket: Pick<BucketProtection, 'lockable' | 'defaultRetention' | 'why'>): Advice {
    const { lockable, defaultRetention, why } = bucket;
    if (lockable === false) return { detail: 'the bucket cannot lock objects', hint: this.enableLocks() };
    const set = `Let the bucket lock long enough by itself: ${this.lockByDefault(lock.periodMs, modeOf(defaultRetention))}`;
    if (defaultRetention === undefined) {
      return { detail: `the bucket's default retention could not be seen (${why.join('; ')})`, hint: `${set}.` };
    }
    if (defaultRetention === 'none') return { detail: 'the bucket has no default retention', hint: `${set}.` };
    const { mode, periodMs } = defaultRetention;
    const detail = `the bucket's default retention is ${days(periodMs)} in ${mode} mode, lock_period is ${days(lock.periodMs)}`;
    if (periodMs < lock.periodMs) return { detail, hint: `${set}; or set a shorter lock_period.` };
    // It was set after this object was stored, or the server (versitygw) does not show on the object what it holds to.
    return {
      detail,
      hint: 'Set lock_mode = governance or compliance: this object does not show what the bucket gives.',
    };
  }

  /** A call of `aws s3api` about this bucket. */
  command(name: string, options = ''): string {
    const { bucket, endpoint } = this.place;
    const at = endpoint === undefined ? '' : ` --endpoint-url ${endpoint}`;
    return `aws${at} s3api ${name} --bucket ${bucket} ${options}`.trimEnd();
  }
}

export interface Advice {
  detail: string;
  hint: string;
}

/** The mode that the bucket has; whoever wants the stricter one says so. */
function modeOf(found: BucketProtection['defaultRetention']): 'GOVERNANCE' | 'COMPLIANCE' {
  return typeof found === 'object' && found.mode === 'compliance' ? 'COMPLIANCE' : 'GOVERNANCE';
}

function days(ms: number): string {
  const count = Math.round((ms / DAY_MS) * 100) / 100;
  return count === 1 ? '1 day' : `${count} days`;
}
